// The reader of the rule language, and a unit under the rules that came out: the input is a file of
// rules, up to a line of "----", and the texts and calls that they are tried on.
#include "scanner/code/behaviour/rule_set.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

using namespace hubgate::behaviour;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view k_end = "\n----\n";
  constexpr std::size_t k_most = std::size_t{16} << 10; // automata of long literals are large
  if (size > k_most) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t cut = std::min(input.find(k_end), input.size());
  const std::string_view tried = input.substr(std::min(cut + k_end.size(), input.size()));
  const std::array<RuleFile, 1> files{{{"input.rules", input.substr(0, cut)}}};
  const RuleSet rules(files);
  for (const UnitKind kind:
       {UnitKind::source, UnitKind::weights, UnitKind::cell, UnitKind::shell}) {
    Unit unit(kind, rules);
    std::uint32_t offset = 0;
    for (std::size_t begin = 0; begin <= tried.size();) {
      const std::size_t end = std::min(tried.find('\n', begin), tried.size());
      const std::string_view line = tried.substr(begin, end - begin);
      unit.text(line, offset);
      unit.call(line, offset);
      if (unit.wants_arguments(line)) unit.arguments(line, tried, offset);
      Unit::has_feature(line, kind, rules);
      begin = end + 1;
      ++offset;
    }
    for (const Hit& hit: unit.hits())
      if (hit.rule == nullptr || hit.offsets.size() > 4) std::abort();
  }
  for (const Sample& sample: rules.samples()) {
    Unit unit(sample.kind, rules);
    unit.text(sample.text, 0);
    unit.hits();
  }
  return 0;
}
