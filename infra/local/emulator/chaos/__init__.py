"""What AWS may do and rarely does: LOCAL_CHAOS makes the local cloud do it often."""
