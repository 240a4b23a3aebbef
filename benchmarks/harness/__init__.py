"""What figures and peers share: servers, load, processes, figures and plots. Imports neither of them."""
