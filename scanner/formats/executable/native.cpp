// ELF (System V ABI, chapter 4), PE/COFF (Microsoft's specification, revision 11), Mach-O
// (mach-o/loader.h, mach-o/fat.h).
#include "scanner/core/reader.hpp"
#include "scanner/formats/executable/parse.hpp"
#include "scanner/generic/executables.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace hubgate::executable {
namespace {

constexpr std::uint64_t k_max_headers = 65535;

// Bytes of a view that survive the next one.
std::vector<std::uint8_t> copy(Source& source, std::uint64_t at, std::size_t n) {
  const Bytes bytes = source.view(at, n);
  return {bytes.begin(), bytes.end()};
}

template <std::integral T> std::uint64_t number(Reader& in, bool big) {
  return static_cast<std::uint64_t>((big ? in.be<T>() : in.le<T>()).value_or(0));
}

Program broken(std::string what, std::string detail) {
  return {Program::State::broken, std::move(what), 0, std::move(detail)};
}

// Ends at the furthest byte of what is listed; false where that leads out of the file.
bool reach(Program& program, std::uint64_t begin, std::uint64_t length, std::uint64_t size) {
  if (begin > size || length > size - begin) return false;
  program.end = std::max(program.end, begin + length);
  return true;
}

} // namespace

Program parse_elf(Source& source, std::uint64_t size) {
  const auto known = find_executable(source, 0, size);
  const auto head = copy(source, 0, 64);
  if (!known || head.size() < 52 || head[0] != 0x7f) return {};
  Program program{Program::State::complete, known->what, 0};
  const bool wide = head[4] == 2;
  const bool big = head[5] == 2;
  Reader in(head);
  in.seek(wide ? 32 : 28);
  const std::uint64_t programs =
      wide ? number<std::uint64_t>(in, big) : number<std::uint32_t>(in, big);
  const std::uint64_t sections =
      wide ? number<std::uint64_t>(in, big) : number<std::uint32_t>(in, big);
  in.skip(6);
  const std::uint64_t program_size = number<std::uint16_t>(in, big);
  const std::uint64_t program_count = number<std::uint16_t>(in, big);
  const std::uint64_t section_size = number<std::uint16_t>(in, big);
  const std::uint64_t section_count = number<std::uint16_t>(in, big);
  program.end = wide ? 64 : 52;
  const auto table = [&](std::uint64_t at, std::uint64_t each, std::uint64_t count) {
    return count == 0 || (each <= 256 && reach(program, at, each * count, size));
  };
  if (!table(programs, program_size, program_count))
    return broken(program.what, "its program headers lie outside of the file");
  for (std::uint64_t i = 0; i < program_count; ++i) {
    const auto raw = copy(source, programs + i * program_size, wide ? 56 : 32);
    Reader header(raw);
    const std::uint64_t type = number<std::uint32_t>(header, big);
    header.skip(wide ? 4 : 0);
    const std::uint64_t at =
        wide ? number<std::uint64_t>(header, big) : number<std::uint32_t>(header, big);
    header.skip(wide ? 16 : 8);
    const std::uint64_t length =
        wide ? number<std::uint64_t>(header, big) : number<std::uint32_t>(header, big);
    // Only what is loaded must be there: debug files keep the headers of what was stripped.
    if (!reach(program, at, length, size) && type == 1) {
      if (section_count > 0 && sections < size) continue;
      return broken(program.what, "a segment lies outside of the file");
    }
  }
  if (section_count > 0 && section_size >= (wide ? 64U : 40U)) {
    if (!table(sections, section_size, section_count))
      return broken(program.what, "its section headers lie outside of the file");
    for (std::uint64_t i = 0; i < section_count; ++i) {
      const auto raw = copy(source, sections + i * section_size, wide ? 64 : 40);
      Reader header(raw);
      header.skip(4);
      const std::uint64_t type = number<std::uint32_t>(header, big);
      header.skip(wide ? 16 : 8);
      const std::uint64_t at =
          wide ? number<std::uint64_t>(header, big) : number<std::uint32_t>(header, big);
      const std::uint64_t length =
          wide ? number<std::uint64_t>(header, big) : number<std::uint32_t>(header, big);
      constexpr std::uint64_t k_no_bits = 8;
      if (type == 0 || type == k_no_bits) continue;
      if (!reach(program, at, length, size))
        return broken(program.what, "a section lies outside of the file");
    }
  }
  return program;
}

Program parse_pe(Source& source, std::uint64_t size) {
  const auto known = find_executable(source, 0, size);
  const auto dos = copy(source, 0, 64);
  if (!known || dos.size() < 64 || dos[0] != 'M') return {};
  Program program{Program::State::complete, known->what, 64};
  Reader in(dos);
  in.seek(60);
  const std::uint64_t header = in.le<std::uint32_t>().value_or(0);
  const auto coff = copy(source, header, 24 + 240);
  Reader fields(coff);
  fields.seek(6);
  const std::uint64_t sections = fields.le<std::uint16_t>().value_or(0);
  const std::uint64_t symbols = fields.skip(4) ? fields.le<std::uint32_t>().value_or(0) : 0;
  const std::uint64_t symbol_count = fields.le<std::uint32_t>().value_or(0);
  const std::uint64_t optional_size = fields.le<std::uint16_t>().value_or(0);
  fields.seek(24);
  const bool wide = fields.le<std::uint16_t>().value_or(0) == 0x20b;
  const std::uint64_t table = header + 24 + optional_size;
  if (!reach(program, table, sections * 40, size))
    return broken(program.what, "its section table lies outside of the file");
  if (symbol_count != 0 && symbols != 0 && reach(program, symbols, symbol_count * 18, size)) {
    const auto length = copy(source, symbols + symbol_count * 18, 4);
    if (length.size() == 4)
      reach(program, symbols + symbol_count * 18, Reader(length).le<std::uint32_t>().value_or(4),
            size);
  }
  for (std::uint64_t i = 0; i < sections; ++i) {
    const auto raw = copy(source, table + i * 40, 40);
    Reader section(raw);
    section.seek(16);
    const std::uint64_t length = section.le<std::uint32_t>().value_or(0);
    const std::uint64_t at = section.le<std::uint32_t>().value_or(0);
    if (length != 0 && at != 0 && !reach(program, at, length, size))
      return broken(program.what, "a section lies outside of the file");
  }
  // The certificate table is the one directory that counts from the file's start.
  const std::size_t certificate = 24 + (wide ? 112 : 96) + 4 * 8;
  if (optional_size >= (wide ? 152U : 136U) && coff.size() >= certificate + 8) {
    fields.seek(certificate);
    const std::uint64_t at = fields.le<std::uint32_t>().value_or(0);
    const std::uint64_t length = fields.le<std::uint32_t>().value_or(0);
    if (at != 0 && length != 0) reach(program, at, length, size);
  }
  return program;
}

namespace {

Program thin_mach(Source& source, std::uint64_t base, std::uint64_t size) {
  const auto known = find_executable(source, base, base + size);
  const auto head = copy(source, base, 32);
  if (!known || head.size() < 28) return {};
  const bool little = head[0] == 0xce || head[0] == 0xcf;
  const bool wide = little ? head[0] == 0xcf : head[3] == 0xcf;
  if (!little && head[0] != 0xfe) return {};
  Program program{Program::State::complete, known->what, wide ? 32U : 28U};
  Reader in(head);
  in.seek(16);
  const std::uint64_t commands = number<std::uint32_t>(in, !little);
  const std::uint64_t bytes = number<std::uint32_t>(in, !little);
  std::uint64_t at = program.end;
  if (!reach(program, at, bytes, size))
    return broken(program.what, "its load commands lie outside of the file");
  const std::uint64_t limit = at + bytes;
  for (std::uint64_t i = 0; i < commands && i < k_max_headers && at + 8 <= limit; ++i) {
    const auto raw = copy(source, base + at, 64);
    Reader command(raw);
    const std::uint64_t kind = number<std::uint32_t>(command, !little);
    const std::uint64_t length = number<std::uint32_t>(command, !little);
    if (length < 8 || length > limit - at)
      return broken(program.what, "a load command of no length");
    bool inside = true;
    if (kind == 0x19 || kind == 1) {
      command.seek(kind == 0x19 ? 40 : 32);
      const std::uint64_t offset = kind == 0x19 ? number<std::uint64_t>(command, !little)
                                                : number<std::uint32_t>(command, !little);
      const std::uint64_t count = kind == 0x19 ? number<std::uint64_t>(command, !little)
                                               : number<std::uint32_t>(command, !little);
      inside = reach(program, offset, count, size);
    } else if (kind == 2) {
      const std::uint64_t symbols = number<std::uint32_t>(command, !little);
      const std::uint64_t count = number<std::uint32_t>(command, !little);
      const std::uint64_t strings = number<std::uint32_t>(command, !little);
      const std::uint64_t string_bytes = number<std::uint32_t>(command, !little);
      inside = reach(program, symbols, count * (wide ? 16 : 12), size) &&
               reach(program, strings, string_bytes, size);
    } else if (kind == 0x1d || kind == 0x26 || kind == 0x29 || kind == 0x2b) {
      const std::uint64_t offset = number<std::uint32_t>(command, !little);
      inside = reach(program, offset, number<std::uint32_t>(command, !little), size);
    }
    if (!inside) return broken(program.what, "a load command leads out of the file");
    at += length;
  }
  return program;
}

} // namespace

Program parse_mach(Source& source, std::uint64_t size) {
  const auto head = copy(source, 0, 8);
  if (head.size() < 8) return {};
  Reader in(head);
  const auto magic = in.be<std::uint32_t>().value_or(0);
  if (magic != 0xcafebabe && magic != 0xcafebabf) return thin_mach(source, 0, size);
  const auto known = find_executable(source, 0, size);
  const std::uint64_t count = in.be<std::uint32_t>().value_or(0);
  if (!known && (magic == 0xcafebabe || count == 0 || count > 30)) return {};
  const bool wide = magic == 0xcafebabf;
  Program program{Program::State::complete, "a universal Mach-O file", 8};
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto raw = copy(source, 8 + i * (wide ? 32 : 20), wide ? 32 : 20);
    Reader arch(raw);
    arch.skip(8);
    const std::uint64_t at =
        wide ? number<std::uint64_t>(arch, true) : number<std::uint32_t>(arch, true);
    const std::uint64_t length =
        wide ? number<std::uint64_t>(arch, true) : number<std::uint32_t>(arch, true);
    if (!reach(program, at, length, size))
      return broken(program.what, "one of its files lies outside");
  }
  return program;
}

} // namespace hubgate::executable
