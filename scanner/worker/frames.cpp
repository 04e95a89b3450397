#include "scanner/worker/frames.hpp"

#include "scanner/core/evidence.hpp"
#include "scanner/core/reader.hpp"

namespace hubgate::frames {
namespace {

void put(std::vector<std::uint8_t>& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i)
    out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

std::optional<std::string> text(Reader& reader) {
  const auto length = reader.le<std::uint32_t>();
  if (!length || *length > k_max_string) return std::nullopt;
  const auto bytes = reader.take(*length);
  if (!bytes) return std::nullopt;
  return std::string(as_text(*bytes));
}

// Ids go into policies, SQL parameters and headers: keep them to their alphabet.
constexpr std::size_t k_max_yara_id = 200; // libyara: 128 for the name; 60 for the space

bool is_id(std::string_view id) {
  return id.size() <= 100 &&
         id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

// "yara:SPACE.NAME" of scanner/yara.
bool is_yara_id(std::string_view id) {
  constexpr std::string_view k_prefix = "yara:";
  return id.starts_with(k_prefix) && id.size() <= k_max_yara_id &&
         id.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.",
                              k_prefix.size()) == std::string_view::npos;
}

} // namespace

Writer::Writer(Type type, std::uint32_t item) {
  put(bytes_, 0, 4);
  bytes_.push_back(static_cast<std::uint8_t>(type));
  put(bytes_, item, 4);
}

Writer& Writer::u8(std::uint8_t value) {
  bytes_.push_back(value);
  return *this;
}

Writer& Writer::u64(std::uint64_t value) {
  put(bytes_, value, 8);
  return *this;
}

Writer& Writer::text(std::string_view value) {
  value = value.substr(0, k_max_string);
  put(bytes_, value.size(), 4);
  bytes_.insert(bytes_.end(), value.begin(), value.end());
  return *this;
}

const std::vector<std::uint8_t>& Writer::bytes() {
  const std::uint64_t length = bytes_.size() - 4;
  for (int i = 0; i < 4; ++i)
    bytes_[static_cast<std::size_t>(i)] = static_cast<std::uint8_t>(length >> (8 * i));
  return bytes_;
}

std::vector<std::uint8_t> encode(std::uint32_t item, const Finding& finding) {
  return Writer(Type::finding, item)
      .u8(static_cast<std::uint8_t>(finding.severity))
      .u8(static_cast<std::uint8_t>(finding.reach))
      .u64(finding.offset)
      .u64(finding.length)
      .text(finding.rule)
      .text(finding.klass)
      .text(finding.where)
      .text(finding.evidence)
      .text(finding.cwe)
      .text(finding.atlas)
      .text(finding.techniques)
      .text(finding.condition)
      .bytes();
}

std::vector<std::uint8_t> encode(std::uint32_t item, const Gap& gap) {
  return Writer(Type::gap, item)
      .u8(static_cast<std::uint8_t>(gap.reason))
      .u8(static_cast<std::uint8_t>(gap.reach))
      .u64(gap.offset)
      .text(gap.where)
      .text(gap.detail)
      .text(gap.condition)
      .bytes();
}

std::vector<std::uint8_t> encode(std::uint32_t item, const Reference& reference) {
  return Writer(Type::reference, item)
      .u64(reference.offset)
      .text(reference.kind)
      .text(reference.target)
      .text(reference.where)
      .text(reference.condition)
      .bytes();
}

std::vector<std::uint8_t> encode(std::uint32_t item, const Listing& listing) {
  return Writer(Type::listing, item)
      .u64(listing.offset)
      .text(listing.kind)
      .text(listing.where)
      .text(listing.text)
      .bytes();
}

std::optional<Finding> decode_finding(Bytes payload) {
  Reader reader(payload);
  const auto severity = reader.le<std::uint8_t>();
  const auto reach = reader.le<std::uint8_t>();
  const auto offset = reader.le<std::uint64_t>();
  const auto length = reader.le<std::uint64_t>();
  if (!severity || *severity > 2 || !reach || *reach > 1 || !offset || !length) return std::nullopt;
  Finding out;
  out.severity = static_cast<Severity>(*severity);
  out.reach = static_cast<Reach>(*reach);
  out.offset = *offset;
  out.length = *length;
  for (std::string* field: {&out.rule, &out.klass, &out.where, &out.evidence, &out.cwe, &out.atlas,
                            &out.techniques, &out.condition}) {
    auto value = text(reader);
    if (!value) return std::nullopt;
    *field = escaped(*value);
  }
  if (!(is_id(out.rule) || is_yara_id(out.rule)) || !is_id(out.klass)) return std::nullopt;
  return out;
}

std::optional<Gap> decode_gap(Bytes payload) {
  Reader reader(payload);
  const auto reason = reader.le<std::uint8_t>();
  const auto reach = reader.le<std::uint8_t>();
  const auto offset = reader.le<std::uint64_t>();
  if (!reason || *reason > static_cast<std::uint8_t>(Reason::unreadable) || !reach || *reach > 1 ||
      !offset)
    return std::nullopt;
  auto where = text(reader);
  auto detail = text(reader);
  auto condition = text(reader);
  if (!where || !detail || !condition) return std::nullopt;
  return Gap{static_cast<Reason>(*reason),
             static_cast<Reach>(*reach),
             escaped(*where),
             *offset,
             escaped(*detail),
             escaped(*condition)};
}

std::optional<Reference> decode_reference(Bytes payload) {
  Reader reader(payload);
  const auto offset = reader.le<std::uint64_t>();
  if (!offset) return std::nullopt;
  Reference out;
  out.offset = *offset;
  for (std::string* field: {&out.kind, &out.target, &out.where, &out.condition}) {
    auto value = text(reader);
    if (!value) return std::nullopt;
    *field = escaped(*value);
  }
  if (!is_id(out.kind)) return std::nullopt;
  return out;
}

std::optional<Listing> decode_listing(Bytes payload) {
  Reader reader(payload);
  const auto offset = reader.le<std::uint64_t>();
  if (!offset) return std::nullopt;
  Listing out;
  out.offset = *offset;
  for (std::string* field: {&out.kind, &out.where, &out.text}) {
    auto value = text(reader);
    if (!value) return std::nullopt;
    *field = escaped(*value);
  }
  if (!is_id(out.kind)) return std::nullopt;
  return out;
}

} // namespace hubgate::frames
