#include "scanner/generic/generic.hpp"

namespace hubgate {

bool generic_scan(Source& source, Session& session) {
  (void)source;
  (void)session;
  return false;
}

std::span<const Rule> generic_rules() {
  return {};
}

} // namespace hubgate
