#include "scanner/generic/executables.hpp"

#include "scanner/core/reader.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace hubgate {
namespace {

using Name = std::pair<std::uint32_t, std::string_view>;

template <std::size_t N>
std::string_view name_in(const std::array<Name, N>& table, std::uint32_t value) {
  const auto at = std::find_if(table.begin(), table.end(),
                               [&](const Name& name) { return name.first == value; });
  return at == table.end() ? std::string_view() : at->second;
}

// e_machine of the System V ABI.
constexpr std::array<Name, 14> k_elf_machines{{
    {3, "x86"},
    {8, "MIPS"},
    {20, "PowerPC"},
    {21, "PowerPC64"},
    {22, "S390"},
    {40, "ARM"},
    {42, "SuperH"},
    {43, "SPARC v9"},
    {62, "x86-64"},
    {183, "AArch64"},
    {190, "CUDA"},
    {224, "AMD GPU"},
    {243, "RISC-V"},
    {247, "BPF"},
}};

// Machine of the PE/COFF specification.
constexpr std::array<Name, 7> k_pe_machines{{
    {0x14c, "x86"},
    {0x8664, "x86-64"},
    {0x1c0, "ARM"},
    {0x1c4, "ARM Thumb"},
    {0xaa64, "AArch64"},
    {0x200, "Itanium"},
    {0x5064, "RISC-V"},
}};

// cputype of <mach/machine.h>.
constexpr std::array<Name, 6> k_mach_cpus{{
    {7, "x86"},
    {0x01000007, "x86-64"},
    {12, "ARM"},
    {0x0100000c, "AArch64"},
    {18, "PowerPC"},
    {0x01000012, "PowerPC64"},
}};

template <std::integral T> T number(Reader& in, bool big) {
  return (big ? in.be<T>() : in.le<T>()).value_or(0);
}

std::optional<Executable> elf(Bytes head, std::uint64_t left) {
  if (!starts_with(head, "\x7f"
                         "ELF") ||
      head.size() < 52)
    return std::nullopt;
  const bool wide = head[4] == 2;
  const bool big = head[5] == 2;
  if ((head[4] != 1 && !wide) || (head[5] != 1 && !big) || head[6] != 1) return std::nullopt;
  Reader in(head);
  in.seek(16);
  const auto type = number<std::uint16_t>(in, big);
  const auto machine = number<std::uint16_t>(in, big);
  const auto version = number<std::uint32_t>(in, big);
  in.skip(wide ? 8 : 4);
  const std::uint64_t programs =
      wide ? number<std::uint64_t>(in, big) : number<std::uint32_t>(in, big);
  const std::uint64_t sections =
      wide ? number<std::uint64_t>(in, big) : number<std::uint32_t>(in, big);
  in.skip(4);
  const auto header = number<std::uint16_t>(in, big);
  const auto program_size = number<std::uint16_t>(in, big);
  const auto program_count = number<std::uint16_t>(in, big);

  constexpr std::array<std::string_view, 5> k_types{"", "object file", "program", "shared object",
                                                    "core dump"};
  const bool typed = type >= 1 && type < k_types.size();
  const std::string_view name = name_in(k_elf_machines, machine);
  const bool sized =
      header == (wide ? 64 : 52) && (program_count == 0 || program_size == (wide ? 56 : 32));
  // A relocatable object has no programs; everything else needs one inside the file.
  const bool placed = program_count > 0 ? programs >= header && programs < left
                                        : sections >= header && sections < left;
  const bool complete = typed && !name.empty() && version == 1 && sized && placed;
  return Executable{std::string("an ELF ") + std::string(typed ? k_types[type] : "file") + " for " +
                        std::string(name.empty() ? "an unknown machine" : name),
                    complete};
}

std::optional<Executable> pe(Source& source, std::uint64_t at, std::uint64_t left, Bytes head) {
  if (!starts_with(head, "MZ") || head.size() < 64) return std::nullopt;
  Reader dos(head);
  dos.seek(60);
  const std::uint64_t offset = dos.le<std::uint32_t>().value_or(0);
  if (offset < 4 || offset > left || left - offset < 26) return std::nullopt;
  const Bytes bytes = source.view(at + offset, 26);
  if (!starts_with(bytes, std::string_view("PE\0\0", 4)) || bytes.size() < 26) return std::nullopt;
  Reader in(bytes);
  in.seek(4);
  const auto machine = in.le<std::uint16_t>().value_or(0);
  const auto sections = in.le<std::uint16_t>().value_or(0);
  in.skip(12);
  const auto optional_size = in.le<std::uint16_t>().value_or(0);
  const auto flags = in.le<std::uint16_t>().value_or(0);
  const auto magic = in.le<std::uint16_t>().value_or(0);
  const std::string_view name = name_in(k_pe_machines, machine);
  const bool complete = !name.empty() && sections >= 1 && sections <= 96 && optional_size >= 96 &&
                        (magic == 0x10b || magic == 0x20b);
  return Executable{std::string("a Windows ") + ((flags & 0x2000) != 0 ? "library" : "program") +
                        " for " + std::string(name.empty() ? "an unknown machine" : name),
                    complete};
}

std::optional<Executable> mach(Bytes head) {
  Reader in(head);
  const auto magic = in.be<std::uint32_t>();
  if (!magic) return std::nullopt;
  const bool little = *magic == 0xcefaedfe || *magic == 0xcffaedfe;
  if (!little && *magic != 0xfeedface && *magic != 0xfeedfacf) return std::nullopt;
  const auto cpu = number<std::uint32_t>(in, !little);
  in.skip(4);
  const auto type = number<std::uint32_t>(in, !little);
  const auto commands = number<std::uint32_t>(in, !little);
  const auto command_bytes = number<std::uint32_t>(in, !little);
  const std::string_view name = name_in(k_mach_cpus, cpu);
  if (name.empty() && (type == 0 || type > 12)) return std::nullopt;
  const bool complete = !name.empty() && type >= 1 && type <= 12 && commands >= 1 &&
                        commands <= 4096 && command_bytes / 8 >= commands;
  return Executable{"a Mach-O file for " + std::string(name.empty() ? "an unknown machine" : name),
                    complete};
}

// The magic is that of Java classes too, whose version (45 and up) stands where the count is.
std::optional<Executable> fat_mach(Bytes head, std::uint64_t left) {
  Reader in(head);
  if (in.be<std::uint32_t>() != 0xcafebabe) return std::nullopt;
  const auto count = in.be<std::uint32_t>().value_or(0);
  const auto cpu = in.be<std::uint32_t>().value_or(0);
  in.skip(4);
  const auto offset = in.be<std::uint32_t>().value_or(0);
  if (count == 0 || count > 30 || name_in(k_mach_cpus, cpu).empty()) return std::nullopt;
  return Executable{"a universal Mach-O file", offset >= 28 && offset < left};
}

} // namespace

std::optional<Executable> find_executable(Source& source, std::uint64_t at, std::uint64_t size) {
  if (at >= size) return std::nullopt;
  const std::uint64_t left = size - at;
  std::array<std::uint8_t, 64> copy{};
  const Bytes view = source.view(at, copy.size());
  std::copy(view.begin(), view.end(), copy.begin());
  const Bytes head = Bytes(copy).first(view.size());
  if (auto found = elf(head, left)) return found;
  if (auto found = pe(source, at, left, head)) return found;
  if (auto found = mach(head)) return found;
  return fat_mach(head, left);
}

} // namespace hubgate
