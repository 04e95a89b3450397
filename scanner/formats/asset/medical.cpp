// Pictures of hospitals and brain research: DICOM, NIfTI. Datasets carry them by the thousand.
#include "scanner/core/cursor.hpp"
#include "scanner/formats/asset/asset.hpp"

#include <array>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace hubgate::asset {
namespace {

constexpr std::uint64_t k_far = ~std::uint64_t{0} >> 2;

// DICOM PS3.5: data elements in three encodings; sequences and items with or without a length.
class Dicom {
public:
  Dicom(Source& source, Session& session) : source_(source), session_(session), in_(source, 132) {}
  Walk run();

private:
  static constexpr std::uint32_t k_undefined = 0xffffffff;
  static constexpr std::size_t k_depth = 64;
  static constexpr std::uint64_t k_elements = 4'000'000;

  struct Element {
    std::uint32_t tag = 0;
    std::uint32_t length = 0;
    bool fragments = false; ///< of unknown length, and what follows are fragments, not data sets
  };

  template <std::integral T> std::optional<T> number() { return big_ ? in_.be<T>() : in_.le<T>(); }
  std::optional<Element> element();
  /// The file meta information: always explicit and little endian.
  bool meta();

  Source& source_;
  Session& session_;
  Cursor in_;
  bool explicit_ = true;
  bool big_ = false;
  std::string syntax_;
};

std::optional<Dicom::Element> Dicom::element() {
  Element out;
  const auto group = number<std::uint16_t>();
  const auto name = number<std::uint16_t>();
  if (!group || !name) return std::nullopt;
  out.tag = (std::uint32_t{*group} << 16) | *name;
  if (!explicit_ || *group == 0xfffe) {
    const auto length = number<std::uint32_t>();
    if (!length) return std::nullopt;
    out.length = *length;
    return out;
  }
  const auto kind = in_.take(2);
  if (!kind) return std::nullopt;
  const std::string vr(as_text(*kind));
  if (vr[0] < 'A' || vr[0] > 'Z' || vr[1] < 'A' || vr[1] > 'Z') return std::nullopt;
  constexpr std::array<std::string_view, 13> k_long{"OB", "OW", "OF", "OD", "OL", "OV", "SQ",
                                                    "UC", "UR", "UT", "UN", "SV", "UV"};
  if (std::find(k_long.begin(), k_long.end(), vr) != k_long.end()) {
    in_.skip(2);
    const auto length = number<std::uint32_t>();
    if (!length) return std::nullopt;
    out.length = *length;
    out.fragments = vr == "OB" || vr == "OW";
    return out;
  }
  const auto length = number<std::uint16_t>();
  if (!length) return std::nullopt;
  out.length = *length;
  return out;
}

bool Dicom::meta() {
  constexpr std::uint32_t k_transfer_syntax = 0x00020010;
  for (int count = 0; count < 64; ++count) {
    const std::uint64_t begin = in_.position();
    const Bytes group = source_.view(begin, 2);
    if (group.size() < 2) return false;
    if (group[0] != 2 || group[1] != 0) break;
    const auto one = element();
    if (!one || one->length > 65536) return false;
    if (one->tag != k_transfer_syntax) {
      in_.skip(one->length);
      continue;
    }
    const auto text = in_.take(one->length);
    if (!text) return false;
    syntax_ = as_text(*text);
    while (!syntax_.empty() && (syntax_.back() == '\0' || syntax_.back() == ' '))
      syntax_.pop_back();
  }
  return !syntax_.empty();
}

Walk Dicom::run() {
  // The preamble is for other formats' magics; whatever they are, the engine tries them.
  scan_aside(session_, "preamble", source_, 0, 128);
  if (!meta()) return Walk::malformed(132, "no transfer syntax");
  if (syntax_ == "1.2.840.10008.1.2.1.99")
    return Walk::malformed(in_.position(), "a deflated data set, which is not read");
  explicit_ = syntax_ != "1.2.840.10008.1.2";
  big_ = syntax_ == "1.2.840.10008.1.2.2";
  const std::uint64_t data = in_.position();
  constexpr std::uint32_t k_item = 0xfffee000;
  constexpr std::uint32_t k_item_end = 0xfffee00d;
  constexpr std::uint32_t k_sequence_end = 0xfffee0dd;
  std::size_t open = 0; // sequences and items without a length
  for (std::uint64_t count = 0;; ++count) {
    const std::uint64_t begin = in_.position();
    if (open == 0 && source_.view(begin, 1).empty()) break;
    const auto one = element();
    if (!one) return Walk::truncated(begin);
    if (count > k_elements || (count % 4096 == 4095 && !session_.budget().time_left()))
      return Walk::malformed(begin, "too many elements");
    if (one->tag == k_item_end || one->tag == k_sequence_end) {
      if (open == 0 || one->length != 0) return Walk::malformed(begin, "an end without beginning");
      --open;
    } else if (one->length == k_undefined) {
      if (++open > k_depth) return Walk::malformed(begin, "sequences nested too deep");
    } else {
      if (one->tag == k_item && open == 0) return Walk::malformed(begin, "an item of nothing");
      in_.skip(one->length);
      if (one->length > 0 && source_.view(in_.position() - 1, 1).empty())
        return Walk::truncated(begin);
    }
  }
  const std::uint64_t end = in_.position();
  scan_aside(session_, "content", source_, data, end - data);
  return Walk::complete(end);
}

template <typename Number>
std::optional<std::uint64_t> product(Bytes header, std::size_t at, std::size_t bits_at, bool big) {
  const auto number = [&](std::size_t position, auto type) {
    Reader in(header.subspan(position));
    using T = decltype(type);
    return (big ? in.be<T>() : in.le<T>()).value_or(0);
  };
  const auto dimensions = number(at, Number{});
  const auto bits = number(bits_at, std::int16_t{});
  if (dimensions < 1 || dimensions > 7 || bits < 1 || bits > 256) return std::nullopt;
  std::uint64_t out = 1;
  for (std::size_t i = 1; i <= static_cast<std::size_t>(dimensions); ++i) {
    const auto length = number(at + i * sizeof(Number), Number{});
    if (length < 1 || __builtin_mul_overflow(out, static_cast<std::uint64_t>(length), &out))
      return std::nullopt;
  }
  if (__builtin_mul_overflow(out, static_cast<std::uint64_t>(bits), &out)) return std::nullopt;
  return (out + 7) / 8;
}

} // namespace

Walk walk_dicom(Source& source, Session& session) {
  return Dicom(source, session).run();
}

// nifti1.h, nifti2.h: a header of 348 or 540 bytes, extensions, voxels. "ni1" and "ni2" have their
// voxels in another file.
Walk walk_nifti(Source& source, Session& session) {
  const Bytes view = source.view(0, 540);
  const std::vector<std::uint8_t> head(view.begin(), view.end());
  const bool second = head.size() >= 12 && head[4] == 'n';
  const std::size_t size = second ? 540 : 348;
  if (head.size() < size) return Walk::truncated(head.size());
  const bool big = Reader(head).be<std::uint32_t>() == size;
  if (!big && Reader(head).le<std::uint32_t>() != size) return Walk::none();
  const std::uint8_t place = head[second ? 5 : 345];
  std::uint64_t begin = 0;
  if (second) {
    Reader in(Bytes(head).subspan(168));
    begin = (big ? in.be<std::uint64_t>() : in.le<std::uint64_t>()).value_or(0);
  } else {
    Reader in(Bytes(head).subspan(108));
    const std::uint32_t raw = (big ? in.be<std::uint32_t>() : in.le<std::uint32_t>()).value_or(0);
    float offset = 0;
    static_assert(sizeof offset == sizeof raw);
    std::memcpy(&offset, &raw, sizeof offset);
    if (!std::isfinite(offset) || offset < 0 || offset > 1e9F)
      return Walk::malformed(108, "no place for the voxels");
    begin = static_cast<std::uint64_t>(offset);
  }
  const auto bytes =
      second ? product<std::int64_t>(head, 16, 14, big) : product<std::int16_t>(head, 40, 72, big);
  if (!bytes || *bytes > k_far || begin > k_far) return Walk::malformed(40, "impossible measures");
  const auto aside = [&](std::uint64_t end) {
    if (end > size + 4) scan_aside(session, "extension", source, size + 4, end - size - 4);
  };
  if (place == 'i') {
    const std::uint64_t end = source.wait_end();
    aside(end);
    session.refer("described", 0, "{stem}.img " + std::to_string(begin + *bytes));
    return Walk::complete(end);
  }
  if (begin < size) return Walk::malformed(108, "the voxels begin in the header");
  aside(begin);
  const std::uint64_t end = begin + *bytes;
  if (source.view(end - 1, 1).empty()) return Walk::truncated(end);
  scan_aside(session, "voxels", source, begin, *bytes);
  return Walk::complete(end);
}

} // namespace hubgate::asset
