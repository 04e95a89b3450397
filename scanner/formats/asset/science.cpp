// Files of numbers that scientists exchange: netCDF 3, IDL, FITS, SAS, Stata and SPSS,
// unformatted Fortran. Their readers compute nothing and call nothing; what is in them is searched
// like bytes of no format.
#include "scanner/codecs/codecs.hpp"
#include "scanner/core/cursor.hpp"
#include "scanner/formats/asset/asset.hpp"

#include <array>

namespace hubgate::asset {
namespace {

constexpr std::uint64_t k_max_elements = 100'000;

} // namespace

// netCDF classic, 64-bit offset and 64-bit data: a list of dimensions follows the record count.
Walk walk_netcdf(Source& source, Session& session) {
  const Bytes head = source.view(0, 4);
  const bool wide = head.size() == 4 && head[3] == 5;
  Cursor in(source, wide ? 12 : 8);
  const auto tag = in.be<std::uint32_t>();
  if (!tag || (*tag != 0 && *tag != 10)) return Walk::none();
  const std::uint64_t end = source.wait_end();
  scan_aside(session, "content", source, 4, end - 4);
  return Walk::complete(end);
}

// Craig Markwardt, "Unofficial Format Specification: the IDL SAVE File": records that name the
// next.
Walk walk_idl(Source& source, Session& session) {
  constexpr std::uint32_t k_end_marker = 6;
  Cursor in(source, 4);
  for (std::uint64_t records = 0; records < k_max_elements; ++records) {
    const std::uint64_t begin = in.position();
    const auto type = in.be<std::uint32_t>();
    const auto low = in.be<std::uint32_t>();
    const auto high = in.be<std::uint32_t>();
    if (!type || !low || !high) return Walk::truncated(begin);
    if (*type == k_end_marker) {
      const std::uint64_t end = source.wait_end();
      scan_aside(session, "content", source, 4, end - 4);
      return Walk::complete(end);
    }
    const std::uint64_t next = *low | (std::uint64_t{*high} << 32);
    if (next <= begin || *type > 64)
      return records == 0 ? Walk::none() : Walk::malformed(begin, "a record that leads back");
    in.seek(next);
  }
  return Walk::malformed(in.position(), "too many records");
}

// FITS 4.0: blocks of 2880 bytes; the header's cards are text.
Walk walk_fits(Source& source, Session& session) {
  const std::uint64_t end = source.wait_end();
  if (end % 2880 != 0) return Walk::truncated(end);
  scan_aside(session, "content", source, 9, end - 9);
  return Walk::complete(end);
}

// SAS7BDAT, SAS transport, Stata 117 and later, SPSS: known by their first bytes.
Walk walk_statistics(Source& source, Session& session) {
  const std::uint64_t end = source.wait_end();
  scan_aside(session, "content", source, 4, end - std::min<std::uint64_t>(end, 4));
  return Walk::complete(end);
}

// Unformatted Fortran: every record stands between its length and its length again.
Walk walk_fortran(Source& source, Session& session) {
  Cursor in(source);
  const std::uint64_t end = source.wait_end();
  std::uint64_t at = 0;
  for (std::uint64_t records = 0; at < end; ++records) {
    in.seek(at);
    const auto length = in.le<std::uint32_t>();
    if (!length || *length == 0 || std::uint64_t{*length} + 8 > end - at ||
        records > k_max_elements)
      return Walk::none();
    in.seek(at + 4 + *length);
    if (in.le<std::uint32_t>() != length) return Walk::none();
    at += std::uint64_t{*length} + 8;
  }
  scan_aside(session, "content", source, 4, end - 4);
  return Walk::complete(end);
}

// MATLAB 4: matrices in a row, each behind five numbers and a name; no magic, so all of it must
// hold.
Walk walk_mat4(Source& source, Session& session) {
  constexpr std::array<std::uint8_t, 6> k_sizes{8, 4, 4, 2, 2, 1};
  const std::uint64_t end = source.wait_end();
  Cursor in(source);
  for (std::uint64_t matrices = 0; in.position() < end; ++matrices) {
    if (matrices > k_max_elements) return Walk::none();
    const bool big = Reader(source.view(in.position(), 4)).le<std::uint32_t>().value_or(0) >= 1000;
    const auto number = [&] { return big ? in.be<std::uint32_t>() : in.le<std::uint32_t>(); };
    const auto type = number();
    const auto rows = number();
    const auto columns = number();
    const auto imaginary = number();
    const auto name = number();
    if (!type || !rows || !columns || !imaginary || !name) return Walk::none();
    // Thousands: the machine; tens: the numbers; ones: full, text or sparse.
    const std::uint32_t code = *type;
    if (code >= 2000 || code / 100 % 10 != 0 || code / 10 % 10 > 5 || code % 10 > 2 ||
        (code >= 1000) != big || *imaginary > 1 || *name == 0 || *name > 256)
      return Walk::none();
    const auto letters = in.take(*name);
    if (!letters || letters->back() != 0) return Walk::none();
    const std::uint64_t cells = std::uint64_t{*rows} * *columns;
    const std::uint64_t bytes = k_sizes[code / 10 % 10] * (1 + std::uint64_t{*imaginary});
    if (cells > end || cells * bytes > end - in.position()) return Walk::none();
    scan_aside(session, "matrix", source, in.position(), cells * bytes);
    in.skip(cells * bytes);
  }
  return Walk::complete(end);
}

// Yann LeCun's IDX (the MNIST pages): type, number of dimensions, dimensions, numbers.
Walk walk_idx(Source& source, Session& /*session*/) {
  Cursor in(source, 2);
  const auto type = in.le<std::uint8_t>();
  const auto dimensions = in.le<std::uint8_t>();
  std::uint64_t size = 0;
  switch (type.value_or(0)) {
  case 0x08:
  case 0x09:
    size = 1;
    break;
  case 0x0b:
    size = 2;
    break;
  case 0x0c:
  case 0x0d:
    size = 4;
    break;
  case 0x0e:
    size = 8;
    break;
  default:
    return Walk::none();
  }
  if (!dimensions || *dimensions == 0 || *dimensions > 8) return Walk::none();
  for (unsigned i = 0; i < *dimensions; ++i) {
    const auto dimension = in.be<std::uint32_t>();
    if (!dimension || *dimension == 0 || __builtin_mul_overflow(size, *dimension, &size))
      return Walk::none();
  }
  const std::uint64_t end = in.position() + size;
  // Two zeros and two small numbers are no magic: the length must come out.
  if (end < size || source.view(end - 1, 1).empty()) return Walk::none();
  return Walk::complete(end);
}

// faiss/impl/index_write.cpp: four letters, dimensions, vectors, and 2^20 twice where nothing is.
Walk walk_faiss(Source& source, Session& session) {
  Cursor in(source, 4);
  const auto dimensions = in.le<std::uint32_t>();
  const auto vectors = in.le<std::int64_t>();
  const auto first = in.le<std::uint64_t>();
  const auto second = in.le<std::uint64_t>();
  constexpr std::uint64_t k_nothing = std::uint64_t{1} << 20;
  if (!dimensions || !vectors || *vectors < 0 || first != k_nothing || second != k_nothing)
    return Walk::none();
  const std::uint64_t end = source.wait_end();
  scan_aside(session, "content", source, 4, end - 4);
  return Walk::complete(end);
}

} // namespace hubgate::asset
