// Executables as objects and members of their own: recognised, walked to their end, named. What
// hides inside other bytes is the generic scan's. See README.md.
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/formats/executable/parse.hpp"

#include <array>

namespace hubgate {
namespace {

using executable::Program;

constexpr std::array<Rule, 2> k_rules{{
    {"native-code", "executable", Severity::suspicious, Reach::data, "CWE-506", "AML.T0018.002",
     "CFG-023 GGF-012 PTH-015",
     "the file is a native program or library, which hubgate can't look into"},
    {"bytecode", "executable", Severity::informational, Reach::data, "", "AML.T0018.002", "CFG-023",
     "the file is code of a virtual machine, which hubgate does not look into"},
}};

const Rule& k_native = k_rules[0];
const Rule& k_bytecode = k_rules[1];

using namespace std::string_view_literals;

Claim probe(const Probe& probe) {
  constexpr std::array<std::string_view, 10> k_magics{"\x7f"
                                                      "ELF"sv,
                                                      "MZ"sv,
                                                      "\xce\xfa\xed\xfe"sv,
                                                      "\xcf\xfa\xed\xfe"sv,
                                                      "\xfe\xed\xfa\xce"sv,
                                                      "\xfe\xed\xfa\xcf"sv,
                                                      "\xca\xfe\xba\xbe"sv,
                                                      "\xca\xfe\xba\xbf"sv,
                                                      "\0asm\1\0\0\0"sv,
                                                      "dex\n0"sv};
  for (const std::string_view magic: k_magics)
    if (starts_with(probe.head, magic)) return Claim::maybe;
  return Claim::no;
}

// Behind the end of another object, where nobody looks for a program.
bool is_hidden(std::string_view where) {
  const std::size_t last = where.rfind('!');
  return where.substr(last == std::string_view::npos ? 0 : last + 1).starts_with("@0x");
}

Reading scan(Source& source, Session& session) {
  FindOptions options;
  if (is_hidden(session.where())) options.severity = Severity::malicious;
  const std::uint64_t size = source.wait_end();
  struct Kind {
    Program (*parse)(Source&, std::uint64_t);
    const Rule& rule;
  };
  const std::array<Kind, 6> kinds{{{executable::parse_elf, k_native},
                                   {executable::parse_pe, k_native},
                                   {executable::parse_mach, k_native},

                                   {executable::parse_wasm, k_bytecode},
                                   {executable::parse_class, k_bytecode},
                                   {executable::parse_dex, k_bytecode}}};
  for (const Kind& kind: kinds) {
    const Program program = kind.parse(source, size);
    if (program.state == Program::State::none) continue;
    if (program.state == Program::State::broken) {
      session.find(kind.rule, 0, size, program.what + ", damaged: " + program.detail, options);
      session.gap(Reason::malformed, Reach::data, 0, program.what + ": " + program.detail);
      return Reading::broken;
    }
    session.find(kind.rule, 0, program.end, program.what, options);
    // Programs are packed with more behind them (installers, self-extracting archives, llamafile):
    // what follows is an object of its own.
    session.ends_at(program.end);
    return Reading::valid;
  }
  return Reading::none;
}

} // namespace

extern const Format format_executable;
const Format format_executable{
    .name = "executable", .family = "executable", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
