"""The zone of firewalld that everything but links falls into."""
