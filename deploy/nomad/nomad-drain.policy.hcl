# What lambda-nomad-drain needs, and nothing else.

# List and read nodes, and drain them. Nomad cannot narrow this to a pool, and it includes purging nodes.
node {
  policy = "write"
}

# Only for NODE_LOOKUP=agent, and for the last step of NODE_LOOKUP=auto when agents ask for a token
# (GET /v1/agent/self). Leave it out otherwise.
agent {
  policy = "read"
}
