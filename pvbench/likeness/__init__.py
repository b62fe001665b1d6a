"""Is it this person? A verdict on each video or picture, between what strangers reach and what the person's photos."""
