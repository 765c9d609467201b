"""One LightningModule, its trainer, checkpoints and callbacks."""
