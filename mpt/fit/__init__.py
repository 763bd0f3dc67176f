"""One run: its options resolved by LightningCLI, its folder, its command line."""
