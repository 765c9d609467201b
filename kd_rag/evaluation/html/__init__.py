"""Pages of HTML that need nothing but themselves: charts, tables and a gallery of errors, in one file each."""
