"""Files that machines share without a shared file system: one door to an object store, and what goes through it."""
