//! Auto-tunes LLM servers with Bayesian optimisation.
