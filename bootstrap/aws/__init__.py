"""The only part of the bootstrap that knows boto3. What botocore raises stops here."""
