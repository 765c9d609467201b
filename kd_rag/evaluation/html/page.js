"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const byId = (id) => document.getElementById(id);
  document.documentElement.classList.add("script");

  // A series of a group of charts is brought to the fore by its button in the key.
  for (const group of all(".group")) {
    const buttons = all("button[data-series]", group);
    const update = () => {
      const chosen = new Set(buttons.filter((b) => b.ariaPressed === "true").map((b) => b.dataset.series));
      for (const line of all("g[data-series]", group)) {
        line.classList.toggle("dim", chosen.size > 0 && !chosen.has(line.dataset.series));
        line.classList.toggle("fore", chosen.has(line.dataset.series));
      }
    };
    for (const button of buttons) {
      button.addEventListener("click", () => {
        button.ariaPressed = button.ariaPressed === "true" ? "false" : "true";
        update();
      });
    }
  }

  // One run's panel at a time.
  const panelRun = byId("panel-run");
  if (panelRun) {
    const show = () => all("[data-panel]").forEach((p) => { p.hidden = p.dataset.panel !== panelRun.value; });
    panelRun.addEventListener("change", show);
    show();
  }

  // The gallery.
  const cards = byId("cards");
  if (cards) {
    const has = (card, kind, run) => !run || card.dataset[kind].split(" ").includes(run);
    const value = (id) => byId(id)?.value ?? "";
    const filter = () => {
      let shown = 0;
      for (const card of cards.children) {
        const fits = (!value("filter-label") || card.dataset.label === value("filter-label"))
          && has(card, "wrong", value("filter-wrong")) && has(card, "right", value("filter-right"));
        card.hidden = !fits;
        shown += fits;
      }
      byId("shown").textContent = `${shown} shown`;
    };
    for (const id of ["filter-label", "filter-wrong", "filter-right"]) byId(id)?.addEventListener("change", filter);
    byId("show-boxes").addEventListener("change", (event) => {
      cards.classList.toggle("no-boxes", !event.target.checked);
    });
    filter(); // a reloaded page keeps its choices
    // A link to a card that the filters hide shows it.
    const reveal = () => {
      const card = location.hash.startsWith("#case-") && byId(location.hash.slice(1));
      if (card) { card.hidden = false; card.scrollIntoView(); }
    };
    window.addEventListener("hashchange", reveal);
    reveal();
  }

  // The table of contents follows the reader.
  const links = new Map(all("nav a").map((a) => [a.hash.slice(1), a]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const [id, link] of links) {
        if (id === entry.target.getAttribute("aria-labelledby")) {
          link.setAttribute("aria-current", "true");
          link.closest("nav").scrollTo({ left: link.offsetLeft - 20 }); // the strip of a narrow screen
        } else link.removeAttribute("aria-current");
      }
    }
  }, { rootMargin: "-20% 0px -70% 0px" });
  all("main > section").forEach((section) => seen.observe(section));
})();
