#include "scanner/generic/generic.hpp"

#include "scanner/generic/text_value.hpp"

#include <array>

namespace hubgate {

bool generic_scan(Source& source, Session& session) {
  (void)source;
  (void)session;
  return false;
}

std::span<const Rule> generic_rules() {
  static const std::array<Rule, 2> rules{k_rule_embedded_script, k_rule_embedded_url};
  return rules;
}

} // namespace hubgate
