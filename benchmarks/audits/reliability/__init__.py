"""What audits bear: being killed, full disks, models that fail, files that were tampered with, and many images."""
