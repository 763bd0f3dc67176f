"""What a task is; partitions and mixtures of tasks; CrossFit's sampling."""
