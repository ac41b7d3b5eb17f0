"""Audio that travels over Kafka: topics heard, topics written, and what could be neither."""
