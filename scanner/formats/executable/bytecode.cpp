// Bytecode of virtual machines: WebAssembly (core specification, 5.5), Java classes (JVMS 4), DEX
// (Dalvik executable format).
#include "scanner/core/cursor.hpp"
#include "scanner/formats/executable/parse.hpp"

namespace hubgate::executable {
namespace {

Program broken(std::string what, std::string detail) {
  return {Program::State::broken, std::move(what), 0, std::move(detail)};
}

} // namespace

Program parse_wasm(Source& source, std::uint64_t size) {
  if (!starts_with(source.view(0, 8), std::string_view("\0asm\1\0\0\0", 8))) return {};
  Cursor in(source, 8);
  Program program{Program::State::complete, "a WebAssembly module", 8};
  while (in.position() < size) {
    const auto id = in.le<std::uint8_t>();
    if (!id || *id > 13) return broken(program.what, "a section that does not exist");
    std::uint64_t length = 0;
    unsigned shift = 0;
    for (;;) {
      const auto byte = in.le<std::uint8_t>();
      if (!byte || shift > 28) return broken(program.what, "the length of a section");
      length |= std::uint64_t{*byte & 0x7fU} << shift;
      shift += 7;
      if ((*byte & 0x80) == 0) break;
    }
    if (length > size - in.position())
      return broken(program.what, "a section leads out of the file");
    in.skip(length);
    program.end = in.position();
  }
  return program;
}

namespace {

// Attributes: u2 count, each u2 name, u4 length, bytes.
bool skip_attributes(Cursor& in) {
  const auto count = in.be<std::uint16_t>();
  if (!count) return false;
  for (unsigned i = 0; i < *count; ++i) {
    if (!in.skip(2)) return false;
    const auto length = in.be<std::uint32_t>();
    if (!length || !in.skip(*length)) return false;
  }
  return true;
}

bool skip_members(Cursor& in) {
  const auto count = in.be<std::uint16_t>();
  if (!count) return false;
  for (unsigned i = 0; i < *count; ++i)
    if (!in.skip(6) || !skip_attributes(in)) return false;
  return true;
}

bool skip_constants(Cursor& in) {
  const auto count = in.be<std::uint16_t>();
  if (!count || *count == 0) return false;
  for (unsigned i = 1; i < *count; ++i) {
    const auto tag = in.le<std::uint8_t>();
    if (!tag) return false;
    switch (*tag) {
    case 1: {
      const auto length = in.be<std::uint16_t>();
      if (!length || !in.skip(*length)) return false;
      break;
    }
    case 5:
    case 6:
      ++i;
      if (!in.skip(8)) return false;
      break;
    case 7:
    case 8:
    case 16:
    case 19:
    case 20:
      if (!in.skip(2)) return false;
      break;
    case 15:
      if (!in.skip(3)) return false;
      break;
    case 3:
    case 4:
    case 9:
    case 10:
    case 11:
    case 12:
    case 17:
    case 18:
      if (!in.skip(4)) return false;
      break;
    default:
      return false;
    }
  }
  return true;
}

} // namespace

Program parse_class(Source& source, std::uint64_t size) {
  Cursor in(source, 0, size);
  if (in.be<std::uint32_t>().value_or(0) != 0xcafebabe) return {};
  const auto minor = in.be<std::uint16_t>();
  const auto major = in.be<std::uint16_t>();
  // The smallest version is 45; a universal Mach-O has its small count there.
  if (!minor || !major || *major < 45 || *major > 120) return {};
  Program program{Program::State::complete, "a Java class", 0};
  const bool whole = skip_constants(in) && in.skip(6) &&
                     [&] {
                       const auto interfaces = in.be<std::uint16_t>();
                       return interfaces && in.skip(std::uint64_t{*interfaces} * 2);
                     }() &&
                     skip_members(in) && skip_members(in) && skip_attributes(in);
  if (!whole) return broken(program.what, "its tables lead out of the file");
  program.end = in.position();
  return program;
}

Program parse_dex(Source& source, std::uint64_t size) {
  Cursor in(source, 0, size);
  const auto head = in.take(8);
  if (!head || !starts_with(*head, "dex\n") || (*head)[7] != 0) return {};
  Program program{Program::State::complete, "a Dalvik executable", 0};
  in.seek(32);
  const auto length = in.le<std::uint32_t>();
  const auto header = in.le<std::uint32_t>();
  if (!length || !header) return broken(program.what, "its header is cut");
  if (*header < 0x70 || *length < *header || *length > size)
    return broken(program.what, "its length is impossible");
  program.end = *length;
  return program;
}

} // namespace hubgate::executable
