"""Soft prompts on a frozen language model: prompt tuning, SPoT, meta prompt tuning."""
