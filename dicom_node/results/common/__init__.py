"""What SEG, SR, pages and their checks share: codes, UIDs, patient and study, equipment, words."""
