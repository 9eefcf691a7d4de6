"""The REST calls of Argo's server, over the same objects that ``kubectl`` sees."""
