"""Legal but rare behaviour of AWS, made frequent by LOCAL_CHAOS."""
