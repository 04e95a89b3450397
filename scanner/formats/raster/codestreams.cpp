// Compressed pictures whose parts say how long they are: JPEG 2000, QOI, OpenEXR.
#include "scanner/core/cursor.hpp"
#include "scanner/formats/raster/raster.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace hubgate::raster {
namespace {

constexpr std::uint64_t k_far = ~std::uint64_t{0} >> 2;

bool reaches(Source& source, std::uint64_t end) {
  return end > 0 && !source.view(end - 1, 1).empty();
}

// ISO/IEC 15444-1, annex A: marker segments, tile-parts of a stated length, EOC.
Walk codestream(Source& source, std::uint64_t begin, std::uint64_t end) {
  constexpr std::uint16_t k_start_of_tile = 0xff90;
  constexpr std::uint16_t k_end_of_codestream = 0xffd9;
  Cursor in(source, begin + 2, end);
  for (;;) {
    const std::uint64_t at = in.position();
    const auto marker = in.be<std::uint16_t>();
    if (!marker) return Walk::truncated(at);
    if (*marker == k_end_of_codestream) return Walk::complete(in.position());
    if (*marker < 0xff4f) return Walk::malformed(at, "no marker where one must be");
    const auto length = in.be<std::uint16_t>();
    if (!length) return Walk::truncated(at);
    if (*length < 2) return Walk::malformed(at, "a marker segment without its length");
    if (*marker != k_start_of_tile) {
      if (!in.skip(*length - 2U)) return Walk::truncated(at);
      continue;
    }
    in.skip(2); // the tile's number
    const auto part = in.be<std::uint32_t>();
    if (!part) return Walk::truncated(at);
    if (*part == 0) {
      // The last one: up to EOC, which ends the codestream.
      const std::uint64_t last = end == k_far ? source.wait_end() : end;
      if (last < at + 14) return Walk::truncated(at);
      const Bytes mark = source.view(last - 2, 2);
      return starts_with(mark, "\xff\xd9") ? Walk::complete(last) : Walk::truncated(last);
    }
    if (*part < 12) return Walk::malformed(at, "a tile-part shorter than its head");
    in.seek(at + *part);
  }
}

} // namespace

// ISO/IEC 15444-1, annex I: boxes, one of them the codestream.
Walk walk_jp2(Source& source, Session& session) {
  Cursor in(source);
  bool picture = false;
  for (;;) {
    const std::uint64_t begin = in.position();
    const auto size32 = in.be<std::uint32_t>();
    const auto head = in.take(4);
    if (!size32 || !head) return picture ? Walk::complete(begin) : Walk::truncated(begin);
    const std::string type(as_text(*head));
    std::uint64_t size = *size32;
    if (size == 1) size = in.be<std::uint64_t>().value_or(0);
    if (size == 0) size = source.wait_end() - begin;
    const std::uint64_t header = in.position() - begin;
    if (size < header || size > k_far)
      return picture ? Walk::complete(begin) : Walk::malformed(begin, "an impossible box size");
    constexpr std::array<std::string_view, 7> k_types{"jP  ", "ftyp", "jp2h", "jp2c",
                                                      "jp2i", "rreq", "res "};
    constexpr std::array<std::string_view, 6> k_aside{"xml ", "uuid", "uinf",
                                                      "asoc", "free", "lbl "};
    if (std::find(k_aside.begin(), k_aside.end(), type) != k_aside.end())
      scan_aside(session, type, source, in.position(), size - header);
    else if (std::find(k_types.begin(), k_types.end(), type) == k_types.end())
      return picture ? Walk::complete(begin) : Walk::malformed(begin, "an unknown box");
    if (type == "jp2c") {
      const Walk walk = codestream(source, begin + header, begin + size);
      if (walk.state != Walk::State::complete) return walk;
      scan_aside(session, "jp2c", source, walk.end, begin + size - walk.end);
      picture = true;
    }
    in.seek(begin + size);
    if (!reaches(source, begin + size)) return Walk::truncated(begin);
  }
}

Walk walk_j2k(Source& source, Session& /*session*/) {
  return codestream(source, 0, k_far);
}

// qoiformat.org, qoi-specification.pdf: chunks until all pixels are there, then 7 zeros and a one.
Walk walk_qoi(Source& source, Session& session) {
  Cursor in(source, 4);
  const auto width = in.be<std::uint32_t>();
  const auto height = in.be<std::uint32_t>();
  const auto channels = in.le<std::uint8_t>();
  const auto space = in.le<std::uint8_t>();
  if (!space) return Walk::truncated(4);
  if (*width == 0 || *height == 0 || *channels < 3 || *channels > 4 || *space > 1)
    return Walk::none();
  const std::uint64_t pixels = std::uint64_t{*width} * *height;
  std::uint64_t chunks = 0;
  for (std::uint64_t done = 0; done < pixels; ++chunks) {
    const auto code = in.le<std::uint8_t>();
    if (!code) return Walk::truncated(in.position());
    done += 1;
    if (*code == 0xff)
      in.skip(4);
    else if (*code == 0xfe)
      in.skip(3);
    else if (*code >> 6 == 2)
      in.skip(1);
    else if (*code >> 6 == 3)
      done += *code & 0x3fU;
    if (chunks % 65536 == 65535 && !session.budget().time_left())
      return Walk::truncated(in.position());
  }
  const auto end = in.take(8);
  if (!end) return Walk::truncated(in.position());
  if (as_text(*end) != std::string_view("\0\0\0\0\0\0\0\1", 8))
    return Walk::malformed(in.position() - 8, "no end marker behind the last pixel");
  return Walk::complete(in.position());
}

namespace {

// OpenEXR 2.0, "OpenEXR File Layout": headers of attributes, tables of offsets, chunks.
class Exr {
public:
  Exr(Source& source, Session& session) : source_(source), session_(session), in_(source, 4) {}
  Walk run();

private:
  static constexpr std::uint64_t k_most = 4'000'000;  ///< chunks
  static constexpr std::size_t k_attributes = 65'536; ///< of all parts

  std::optional<std::string> name();
  /// The attributes of a part; false: the bytes end or make no sense.
  bool header(bool& empty);
  std::optional<std::uint64_t> end_of_chunk(std::uint64_t at);

  Source& source_;
  Session& session_;
  Cursor in_;
  bool parts_ = false;
  std::vector<std::string> types_; ///< of the parts
  std::size_t attributes_ = 0;
};

std::optional<std::string> Exr::name() {
  std::string out;
  for (;;) {
    const auto c = in_.le<std::uint8_t>();
    if (!c || out.size() > 255) return std::nullopt;
    if (*c == 0) return out;
    out += static_cast<char>(*c);
  }
}

bool Exr::header(bool& empty) {
  empty = true;
  std::string kind;
  for (;;) {
    const auto attribute = name();
    if (!attribute || ++attributes_ > k_attributes) return false;
    if (attribute->empty()) break;
    empty = false;
    const auto type = name();
    const auto size = in_.le<std::uint32_t>();
    if (!type || type->empty() || !size) return false;
    const std::uint64_t value = in_.position();
    if (*attribute == "type" && *size <= 64) {
      const auto text = in_.take(*size);
      if (!text) return false;
      kind = as_text(*text);
    }
    constexpr std::uint32_t k_long = 64; // texts and previews; numbers are shorter
    if (*size > k_long) scan_aside(session_, "attribute", source_, value, *size);
    in_.seek(value + *size);
  }
  if (!empty) types_.push_back(kind);
  return true;
}

std::optional<std::uint64_t> Exr::end_of_chunk(std::uint64_t at) {
  in_.seek(at);
  std::size_t part = 0;
  if (parts_) {
    const auto number = in_.le<std::uint32_t>();
    if (!number || *number >= types_.size()) return std::nullopt;
    part = *number;
  }
  const std::string& type = types_[part];
  in_.skip(type == "tiledimage" || type == "deeptile" ? 16 : 4);
  std::uint64_t bytes = 0;
  if (type.starts_with("deep")) {
    const auto table = in_.le<std::uint64_t>();
    const auto packed = in_.le<std::uint64_t>();
    const auto unpacked = in_.le<std::uint64_t>();
    if (!table || !packed || !unpacked || *table > k_far || *packed > k_far) return std::nullopt;
    bytes = *table + *packed;
  } else {
    const auto size = in_.le<std::uint32_t>();
    if (!size) return std::nullopt;
    bytes = *size;
  }
  return in_.position() + bytes;
}

Walk Exr::run() {
  const auto version = in_.le<std::uint32_t>();
  if (!version) return Walk::truncated(4);
  constexpr std::uint32_t k_tiled = 0x200;
  constexpr std::uint32_t k_deep = 0x800;
  constexpr std::uint32_t k_parts = 0x1000;
  if ((*version & 0xff) != 2 || (*version >> 13) != 0) return Walk::none();
  parts_ = (*version & k_parts) != 0;
  for (bool empty = false; !empty;) {
    const std::uint64_t begin = in_.position();
    if (!header(empty)) return Walk::truncated(begin);
    if (!parts_) break;
  }
  if (types_.empty()) return Walk::malformed(8, "no part");
  if (!parts_) {
    if ((*version & k_tiled) != 0)
      types_[0] = "tiledimage";
    else if ((*version & k_deep) == 0)
      types_[0] = "scanlineimage";
  }
  // The tables end where the first chunk begins.
  const std::uint64_t table = in_.position();
  std::uint64_t first = k_far;
  std::uint64_t end = table;
  for (std::uint64_t i = 0; table + 8 * i < first; ++i) {
    if (i > k_most || (i % 4096 == 4095 && !session_.budget().time_left()))
      return Walk::malformed(table, "too many chunks");
    in_.seek(table + 8 * i);
    const auto offset = in_.le<std::uint64_t>();
    if (!offset) return Walk::truncated(table);
    if (*offset == 0) return Walk::truncated(table); // as a writer that was stopped leaves it
    if (*offset < table + 8 * (i + 1) || *offset > k_far)
      return Walk::malformed(table, "a chunk that is no chunk");
    first = std::min(first, *offset);
    const auto last = end_of_chunk(*offset);
    if (!last) return Walk::truncated(*offset);
    end = std::max(end, *last);
  }
  if (first == k_far || (first - table) % 8 != 0)
    return Walk::malformed(table, "the table of chunks has no end");
  return Walk::complete(end);
}

} // namespace

Walk walk_exr(Source& source, Session& session) {
  return Exr(source, session).run();
}

} // namespace hubgate::raster
