// CatBoost models (catboost/libs/model): "CBM1", the size of a flatbuffer (model.fbs), the
// flatbuffer, then the parts that it names. See README.md.
#include "scanner/core/flatbuffer.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/reader.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/text_value.hpp"

#include <array>
#include <string>

namespace hubgate {
namespace {

constexpr std::string_view k_magic = "CBM1";
constexpr std::uint64_t k_head = 8;
constexpr std::size_t k_max_text = std::size_t{1} << 20;

// Fields of TModelCore.
constexpr std::uint16_t k_version = 0;
constexpr std::uint16_t k_info = 2;
constexpr std::uint16_t k_parts = 3;

constexpr std::array<Rule, 1> k_rules{{
    {"catboost-bounds", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0029",
     "JNP-020", "a size or an offset in the model leads outside of it"},
}};

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session) {}
  Reading run();

private:
  Reading refuse(std::uint64_t at, std::string_view why) {
    session_.find(k_rules[0], at, 0, why);
    session_.gap(Reason::malformed, Reach::load, at, why);
    return Reading::broken;
  }

  Source& source_;
  Session& session_;
};

Reading Scan::run() {
  const std::uint64_t size = source_.wait_end();
  Reader head(source_.view(0, k_head));
  head.skip(k_magic.size());
  const auto core = head.le<std::uint32_t>();
  if (!core) return Reading::none;
  if (*core > size - k_head) {
    session_.gap(Reason::truncated, Reach::load, size, "the model ends early");
    if (*core > (std::uint32_t{1} << 31))
      session_.find(k_rules[0], 4, 4, "a core of " + std::to_string(*core) + " bytes");
    return Reading::broken;
  }
  Flatbuffer buffer(source_, k_head, *core);
  const auto root = buffer.root();
  if (!root) return refuse(k_head, "the core has no root");
  const auto version = buffer.string(*root, k_version, 64);
  if (!version) return refuse(k_head, "the core has no version");
  if (const auto info = buffer.vector(*root, k_info, 4))
    for (std::uint32_t i = 0; i < info->count; ++i) {
      const auto entry = buffer.table_at(*info, i);
      if (!entry) break;
      const auto key = buffer.string(*entry, 0, 256);
      const auto place = buffer.vector(*entry, 1, 1);
      const auto value = buffer.string(*entry, 1, k_max_text);
      if (value && place && value->size() >= 16)
        scan_text_value(session_, key.value_or("a value"), *value, buffer.offset(place->at));
      if (place && place->count > k_max_text)
        session_.gap(Reason::budget, Reach::data, buffer.offset(place->at), "a value is too long");
    }
  const auto parts = buffer.vector(*root, k_parts, 4);
  if (buffer.failure() != FlatFailure::none)
    return refuse(buffer.offset(buffer.failed_at()), "an offset of the core leads nowhere");
  const std::uint64_t end = k_head + *core;
  if (!parts || parts->count == 0) {
    session_.ends_at(end);
  } else if (end < size) {
    // Statistics of categories and tokens, in formats of their own: looked at as bytes.
    SubSource rest(source_, end, size - end);
    session_.embedded("parts", rest);
  }
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  return starts_with(probe.head, k_magic) ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_catboost;
const Format format_catboost{
    .name = "catboost", .family = "catboost", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
