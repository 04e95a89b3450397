// XGBoost models as JSON (doc/model.schema of xgboost): a refinement of JSON. See README.md.
#include "scanner/core/find.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/json.hpp"
#include "scanner/formats/xgboost/trees.hpp"

#include <cstdlib>

namespace hubgate {
namespace {

constexpr std::uint32_t k_depth = 512;

Claim probe(const Probe& probe) {
  const std::string_view head = as_text(probe.head);
  const std::size_t first = head.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || head[first] != '{') return Claim::no;
  return holds(head, "\"learner\"") || holds(as_text(probe.tail), "\"learner\"") ? Claim::maybe
                                                                                 : Claim::no;
}

// Whether the top has "learner": one pass that skips values, so that other JSON is told nothing.
bool is_model(Source& source, std::uint64_t size) {
  JsonReader in(source, 0, size, {JsonOptions::Dialect::python, k_depth});
  if (in.next() != JsonEvent::object_begin) return false;
  for (JsonEvent event = in.next(); event == JsonEvent::key; event = in.next()) {
    if (in.text() == "learner") return true;
    if (!in.skip_value()) return false;
  }
  return false;
}

Reading scan(Source& source, Session& session) {
  const std::uint64_t size = source.wait_end();
  if (!is_model(source, size)) return Reading::none;
  xgboost::Trees trees(session);
  trees.settle();
  JsonReader in(source, 0, size, {JsonOptions::Dialect::python, k_depth});
  for (std::uint64_t count = 0;; ++count) {
    const JsonEvent event = in.next();
    switch (event) {
    case JsonEvent::object_begin:
      trees.object_begin(in.offset());
      break;
    case JsonEvent::object_end:
      trees.object_end();
      break;
    case JsonEvent::array_begin:
      trees.array_begin();
      break;
    case JsonEvent::array_end:
      trees.array_end();
      break;
    case JsonEvent::key:
      trees.key(in.text());
      break;
    case JsonEvent::string:
      trees.string(in.text(), in.offset());
      break;
    case JsonEvent::number:
      trees.number(std::strtod(in.text().c_str(), nullptr));
      break;
    case JsonEvent::boolean:
    case JsonEvent::null:
      break;
    case JsonEvent::end:
      return Reading::valid;
    case JsonEvent::error:
      if (in.failure() == JsonFailure::limit)
        session.find(xgboost::k_bounds, in.position(), 0, in.error());
      session.gap(in.failure() == JsonFailure::truncated ? Reason::truncated : Reason::malformed,
                  Reach::load, in.position(), in.error());
      return Reading::broken;
    }
    if (count % 65536 == 65535 && !session.budget().time_left()) {
      session.gap(Reason::budget, Reach::load, in.position(), "out of time");
      return Reading::broken;
    }
  }
}

} // namespace

extern const Format format_xgboost;
const Format format_xgboost{
    .name = "xgboost", .family = "json", .probe = probe, .scan = scan, .rules = xgboost::k_rules};

} // namespace hubgate
