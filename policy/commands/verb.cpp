#include "policy/commands/verb.hpp"

#include <cstdio>
#include <string>

namespace hubgate {

int complain(std::string_view message, Exit code) {
  std::fprintf(stderr, "hubgate: %.*s\n", static_cast<int>(message.size()), message.data());
  return code;
}

} // namespace hubgate
