"""What the node does for exec, attach, port-forward and proxy: sessions in containers, connections to pods."""
