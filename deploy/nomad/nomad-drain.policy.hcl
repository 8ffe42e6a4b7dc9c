# What lambda-nomad-drain needs, and nothing else.

# List and read nodes, and drain them. Nomad cannot narrow this to a pool, and it includes purging nodes.
node {
  policy = "write"
}

# See when allocations have stopped. Nomad leaves those of a namespace without this capability out of every list, without
# a word, so that a node looks empty while work runs on it. With less than every namespace drains are begun, and an empty
# list is not believed: instances wait for their drain's deadline. A rule for one namespace beside this one needs it too.
namespace "*" {
  capabilities = ["read-job"]
}

# Only for NODE_LOOKUP=agent, and for the last step of NODE_LOOKUP=auto when agents ask for a token
# (GET /v1/agent/self). Leave it out otherwise.
agent {
  policy = "read"
}
