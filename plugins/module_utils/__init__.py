"""Pure helpers of the modules: standard library only, they run on the nodes."""
