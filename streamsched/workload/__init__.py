"""Generates load: arrivals and fleets after published figures, or from a published trace."""
