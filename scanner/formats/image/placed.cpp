// Images whose header says where the rest lies: BMP, TIFF, ICO. Their magics are weak, so what
// does not hold is not the format at all.
#include "scanner/core/cursor.hpp"
#include "scanner/formats/image/image.hpp"

#include <array>

namespace hubgate::image {
namespace {

constexpr std::size_t k_max_directories = 1000;
constexpr std::uint64_t k_max_entries = 4096;
constexpr std::uint64_t k_max_strips = 1'000'000;

bool known_dib(std::uint32_t size) {
  constexpr std::array<std::uint32_t, 8> k_sizes{12, 16, 40, 52, 56, 64, 108, 124};
  return std::find(k_sizes.begin(), k_sizes.end(), size) != k_sizes.end();
}

// TIFF 6.0 and BigTIFF: a list of directories, each entry with its values inside or elsewhere.
class Tiff {
public:
  Tiff(Source& source, bool big_endian) : in_(source), big_endian_(big_endian) {}
  Walk run();

private:
  struct Entry {
    std::uint16_t tag;
    std::uint16_t type;
    std::uint64_t count;
    std::uint64_t at; ///< where its values are
  };

  template <std::integral T> std::optional<T> number() {
    return big_endian_ ? in_.be<T>() : in_.le<T>();
  }
  std::optional<std::uint64_t> word() {
    if (wide_) return number<std::uint64_t>();
    const auto small = number<std::uint32_t>();
    return small ? std::optional<std::uint64_t>(*small) : std::nullopt;
  }
  static std::uint64_t size_of(std::uint16_t type) {
    constexpr std::array<std::uint8_t, 19> k_sizes{0, 1, 1, 2, 4, 8, 1, 1, 2, 4,
                                                   8, 4, 8, 4, 0, 0, 8, 8, 8};
    return type < k_sizes.size() ? k_sizes[type] : 0;
  }
  bool directory(std::uint64_t at, bool main);
  bool entry(Entry& out);
  bool values(const Entry& entry, std::vector<std::uint64_t>& out);
  void reach(std::uint64_t end) { end_ = std::max(end_, end); }

  Cursor in_;
  bool big_endian_;
  bool wide_ = false;
  std::uint64_t end_ = 0;
  std::vector<std::uint64_t> pending_;
  bool image_ = false;
};

bool Tiff::entry(Entry& out) {
  const auto tag = number<std::uint16_t>();
  const auto type = number<std::uint16_t>();
  const auto count = word();
  if (!tag || !type || !count) return false;
  const std::uint64_t inside = wide_ ? 8 : 4;
  const std::uint64_t here = in_.position();
  const std::uint64_t each = size_of(*type);
  std::uint64_t bytes = 0;
  if (each == 0 || __builtin_mul_overflow(*count, each, &bytes)) return false;
  out = {*tag, *type, *count, here};
  if (bytes > inside) {
    const auto at = word();
    std::uint64_t end = 0;
    if (!at || __builtin_add_overflow(*at, bytes, &end)) return false;
    out.at = *at;
    reach(end);
  }
  in_.seek(here + inside);
  return true;
}

bool Tiff::values(const Entry& entry, std::vector<std::uint64_t>& out) {
  if (entry.count > k_max_strips) return false;
  in_.seek(entry.at);
  out.clear();
  for (std::uint64_t i = 0; i < entry.count; ++i) {
    std::optional<std::uint64_t> value;
    if (size_of(entry.type) == 2)
      value = number<std::uint16_t>();
    else if (size_of(entry.type) == 4)
      value = number<std::uint32_t>();
    else if (size_of(entry.type) == 8)
      value = number<std::uint64_t>();
    if (!value) return false;
    out.push_back(*value);
  }
  return true;
}

bool Tiff::directory(std::uint64_t at, bool main) {
  in_.seek(at);
  std::uint64_t count = 0;
  if (wide_) {
    count = number<std::uint64_t>().value_or(0);
  } else {
    count = number<std::uint16_t>().value_or(0);
  }
  if (count == 0 || count > k_max_entries) return false;
  std::vector<Entry> entries(static_cast<std::size_t>(count));
  for (Entry& item: entries)
    if (!entry(item)) return false;
  const auto next = word();
  if (!next) return false;
  reach(in_.position());
  if (*next != 0 && main) pending_.push_back(*next);

  // Strips or tiles, and a JPEG stream: offsets in one tag, lengths in another.
  constexpr std::array<std::pair<std::uint16_t, std::uint16_t>, 3> k_extents{
      {{273, 279}, {324, 325}, {513, 514}}};
  std::vector<std::uint64_t> offsets;
  std::vector<std::uint64_t> lengths;
  for (const auto& [where, how_long]: k_extents) {
    const Entry* offset = nullptr;
    const Entry* length = nullptr;
    for (const Entry& item: entries) {
      if (item.tag == where) offset = &item;
      if (item.tag == how_long) length = &item;
    }
    if (offset == nullptr || length == nullptr) continue;
    if (!values(*offset, offsets) || !values(*length, lengths)) return false;
    if (offsets.size() != lengths.size()) return false;
    for (std::size_t i = 0; i < offsets.size(); ++i) {
      std::uint64_t end = 0;
      if (__builtin_add_overflow(offsets[i], lengths[i], &end)) return false;
      reach(end);
    }
    image_ = image_ || !offsets.empty();
  }
  // Directories below this one: SubIFDs, Exif, GPS, interoperability.
  for (const Entry& item: entries) {
    if (item.tag != 330 && item.tag != 34665 && item.tag != 34853 && item.tag != 40965) continue;
    if (item.count > k_max_directories || !values(item, offsets)) return false;
    for (const std::uint64_t below: offsets)
      pending_.push_back(below);
  }
  return true;
}

Walk Tiff::run() {
  in_.seek(2);
  const auto version = number<std::uint16_t>();
  wide_ = version == 43;
  if (wide_) {
    const auto width = number<std::uint16_t>();
    if (width != 8 || number<std::uint16_t>() != 0) return Walk::none();
  }
  const auto first = word();
  if (!first || *first < 8) return Walk::none();
  pending_.push_back(*first);
  for (std::size_t done = 0; done < pending_.size(); ++done) {
    if (done >= k_max_directories) return Walk::malformed(0, "too many directories");
    if (!directory(pending_[done], /*main=*/true))
      return done == 0 ? Walk::none() : Walk::malformed(pending_[done], "a broken directory");
  }
  if (!image_) return Walk::malformed(*first, "no image data");
  return Walk::complete(end_);
}

// The end lies inside the source, or the file is cut.
Walk inside(Source& source, std::uint64_t end) {
  if (end > 0 && source.view(end - 1, 1).empty()) return Walk::truncated(end);
  return Walk::complete(end);
}

} // namespace

Walk walk_bmp(Source& source, Session&) {
  Cursor in(source, 2);
  const auto stated = in.le<std::uint32_t>();
  const auto reserved = in.le<std::uint32_t>();
  const auto offset = in.le<std::uint32_t>();
  const auto dib = in.le<std::uint32_t>();
  if (!stated || reserved != 0U || !offset || !dib || !known_dib(*dib) || *offset < 14 + *dib)
    return Walk::none();
  std::uint64_t width = 0;
  std::uint64_t height = 0;
  if (*dib == 12) {
    width = in.le<std::uint16_t>().value_or(0);
    height = in.le<std::uint16_t>().value_or(0);
  } else {
    const std::int64_t w = in.le<std::int32_t>().value_or(0);
    const std::int64_t h = in.le<std::int32_t>().value_or(0);
    if (w < 0) return Walk::none();
    width = static_cast<std::uint64_t>(w);
    height = static_cast<std::uint64_t>(h < 0 ? -h : h); // negative: rows from the top
  }
  const auto planes = in.le<std::uint16_t>();
  const auto bits = in.le<std::uint16_t>();
  if (width == 0 || height == 0 || planes != 1 || !bits || *bits == 0 || *bits > 64)
    return Walk::none();
  std::uint32_t compression = 0;
  std::uint64_t pixels = (width * *bits + 31) / 32 * 4 * height;
  if (*dib >= 40) {
    compression = in.le<std::uint32_t>().value_or(99);
    const std::uint64_t size = in.le<std::uint32_t>().value_or(0);
    if (compression > 14) return Walk::none();
    if (compression != 0 && compression != 3 && compression != 6) pixels = size;
  }
  const std::uint64_t end = std::max<std::uint64_t>(*offset + pixels, *stated);
  return inside(source, end);
}

Walk walk_tiff(Source& source, Session&) {
  const Bytes head = source.view(0, 2);
  const Walk walk = Tiff(source, starts_with(head, "MM")).run();
  return walk.state == Walk::State::complete ? inside(source, walk.end) : walk;
}

// ICO and CUR: a directory of images, each a PNG or a bitmap without its file header.
Walk walk_ico(Source& source, Session&) {
  Cursor in(source, 4);
  const auto count = in.le<std::uint16_t>();
  if (!count || *count == 0 || *count > 256) return Walk::none();
  std::uint64_t end = 6 + std::uint64_t{*count} * 16;
  for (std::uint64_t i = 0; i < *count; ++i) {
    in.seek(6 + i * 16 + 3);
    const auto reserved = in.le<std::uint8_t>();
    in.skip(4);
    const auto size = in.le<std::uint32_t>();
    const auto offset = in.le<std::uint32_t>();
    if (reserved != 0 || !size || !offset || *size < 12 || *offset < 6 + std::uint64_t{*count} * 16)
      return Walk::none();
    const Bytes head = source.view(*offset, 8);
    if (head.size() == 8 && !starts_with(head, "\x89PNG") &&
        !starts_with(head, std::string_view("\x28\0\0\0", 4)))
      return Walk::none();
    end = std::max(end, std::uint64_t{*offset} + *size);
  }
  return inside(source, end);
}

} // namespace hubgate::image
