"""What a person looks at: pages as images and as PDF, and the outlines as a presentation state."""
