"""Arrays in, arrays out: preprocessing, SE-UNet ensemble, uncertainty, measures, model bundle."""
