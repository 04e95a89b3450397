// Manifest.json of a Core ML package (modelpackage of coremltools): which file is what, by paths
// below Data/. A refinement of JSON. See README.md.
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/json.hpp"
#include "scanner/core/path_kind.hpp"
#include "scanner/core/session.hpp"

#include <array>

namespace hubgate {
namespace {

constexpr std::uint64_t k_max_size = std::uint64_t{4} << 20;

constexpr std::array<Rule, 1> k_rules{{
    {"coreml-package-path", "traversal", Severity::malicious, Reach::load, "CWE-22",
     "AML.T0011.000", "RTF-006", "an item of the package lies outside of it"},
}};

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  return holds(head, "\"itemInfoEntries\"") || holds(head, "\"fileFormatVersion\"") ? Claim::maybe
                                                                                    : Claim::no;
}

Reading scan(Source& source, Session& session) {
  const std::uint64_t size = source.wait_end();
  if (size > k_max_size) return Reading::none;
  struct Item {
    std::string path;
    std::uint64_t offset;
  };
  std::vector<Item> items;
  bool manifest = false;
  std::string entry;
  std::string key;
  JsonReader in(source, 0, size, {JsonOptions::Dialect::python});
  for (JsonEvent event = in.next();; event = in.next()) {
    if (event == JsonEvent::end) break;
    if (event == JsonEvent::error) return Reading::none;
    if (event == JsonEvent::key) {
      key = in.text();
      if (in.depth() == 1) entry = key;
      manifest = manifest || (in.depth() == 1 && key == "itemInfoEntries");
    }
    if (event == JsonEvent::string && key == "path" && entry == "itemInfoEntries")
      items.push_back({in.text(), in.offset()});
  }
  if (!manifest) return Reading::none;
  for (const Item& item: items) {
    const PathKind kind = path_kind(item.path);
    if (kind == PathKind::plain)
      session.refer("file", item.offset, "Data/" + item.path);
    else
      session.find(k_rules[0], item.offset, item.path.size(),
                   "\"" + item.path + "\", which " + std::string(to_string(kind)));
  }
  return Reading::valid;
}

} // namespace

extern const Format format_coreml_package;
const Format format_coreml_package{
    .name = "coreml_package", .family = "json", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
