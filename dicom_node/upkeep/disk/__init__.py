"""Files that are no longer needed leave STORAGE: by rule, by age, and earlier when the disk fills up."""
