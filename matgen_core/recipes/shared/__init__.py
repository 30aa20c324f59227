"""What several recipes share: data, figures, cards."""
