"""What is spoken with clients. A protocol knows methods, codecs and the Backend seam."""
