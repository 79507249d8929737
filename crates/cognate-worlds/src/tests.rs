//! Every world by its one interface: splits, pairs, truth, judgements, and what is refused.
