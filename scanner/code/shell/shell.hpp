#pragma once
// What shell commands would do: POSIX shells, PowerShell, cmd and VBScript, read as words and
// pipes and never run. For scripts, for shell lines of notebooks and for strings that reach a
// shell. Judges by what is put together (a download that is run), not by single words.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::shell {

/// One thing that a command does to whoever runs it.
enum class Effect {
  download_run,   ///< fetches something and runs it
  remote_control, ///< gives a shell to somebody elsewhere
  hidden_run,     ///< decodes something and runs it
  encoded,        ///< an encoded PowerShell command
  living_off,     ///< a program of the system used to fetch or run code (mshta, regsvr32…)
  persistence,    ///< starts again later
  theft,          ///< sends credentials away
  destruction,    ///< deletes or overwrites what is not its own
  miner,
  evasion,     ///< turns protection off
  propagation, ///< uploads to a hub
  beacon,      ///< calls a host that only shows who calls
};

struct Sign {
  Effect effect;
  std::size_t offset = 0; ///< in the text
  std::string command;    ///< the line, bounded
  /// Usual in honest installation scripts, too: an installer that is piped into a shell.
  bool ordinary = false;
  /// From a named host, but over a connection that anybody on the way can change.
  bool unencrypted = false;
  /// From an address without a name, or from a place where anybody can drop a text.
  bool plain_host = false;
};

/// Calls `line_found(line, offset)` for each line of commands: continued ones joined, comments and
/// empty ones left out.
void logical_lines(std::string_view text,
                   const std::function<void(std::string_view, std::size_t)>& line_found);

/// Reads `text` (any superset of ASCII) line by line. Linear; at most 64 signs.
std::vector<Sign> analyse_shell(std::string_view text);

/// Whether a command only shows that it can be run.
enum class Show {
  none,
  harmless, ///< echo, touch, ls: honest scripts do that, too
  asks,     ///< who runs it
  plain,    ///< opens a calculator, says that you were hacked
};
Show shows(std::string_view text);

/// "execution", "theft"…: the class of findings, see scanner/README.md.
std::string_view class_of(Effect);
/// What it does, for a person.
std::string_view words_of(Effect);
/// Ids of the technique catalogue.
std::string_view techniques_of(Effect);

/// Decodes the argument of powershell -EncodedCommand (base64 of UTF-16LE); "" if it is none.
std::string decode_powershell(std::string_view base64);

} // namespace hubgate::shell
