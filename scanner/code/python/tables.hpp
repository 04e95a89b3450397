#pragma once
// What is known of callables outside of the unit, and of names of files and hosts: data.
#include "scanner/code/python/value.hpp"

#include <string>

namespace hubgate::python {

enum class Op : std::uint8_t {
  none,
  source,      ///< the result has the labels
  pass,        ///< the result is the first argument, constants included
  sanitize,    ///< the result tells nothing
  run_code,    ///< runs its first argument as code
  run_command, ///< runs its first argument: a string or a list
  run_program, ///< runs the program named by its first argument
  decode,      ///< decodes its first argument; `detail` is the codec
  load_code,   ///< makes objects or code out of bytes
  open,        ///< open(path, mode)
  import,      ///< imports the module that the first argument names
  get,         ///< requests.get: sends its arguments, the result is from the network
  send,        ///< sends its arguments over the network
  fetch,       ///< downloads into a file: `detail` is the argument with the path
  copy,        ///< copies or moves into the file that the second argument names
  pipe,        ///< shutil.copyfileobj: from the first handle into the second
  remove,      ///< deletes the tree that the first argument names
  duplicate,   ///< os.dup2
  hub_write,   ///< changes a repository on a hub
  crypt,       ///< encrypts its first argument
  walk,        ///< paths of a directory
  defer,       ///< calls its argument `detail` later: Thread(target=), Timer, atexit
  chr,
  ord,
  text, ///< str(), bytes(): constants stay
  reversed,
  map,
  partial,
  getattr,
  environ_get,
  join_path,
  registry, ///< writes the Windows registry
  tunnel,   ///< opens a way into the machine: ngrok
  setattr,
  element, ///< one of what its first argument holds: next, min
  item,    ///< operator.getitem
  stored,  ///< keeps its arguments for a call: methodcaller("x") becomes methodcaller()("x", …)
  method_called, ///< what methodcaller(name, …) gives, called with an object
  attribute_of,  ///< what attrgetter(name) gives
  item_of,       ///< what itemgetter(name) gives
  temporary,     ///< a new file, open for writing
  dump,          ///< writes its first argument into the handle that is the second
  print,         ///< writes into file=
  write_fd,      ///< os.write(handle, data)
  own_code,      ///< inspect.getsource
  constant_home, ///< the home directory
  delete_file,   ///< deletes the file that the first argument names
  fork,
  browse, ///< shows an address to the person
  pack,   ///< puts the file or folder of argument `detail` into an archive
  code,   ///< makes a code object out of its parts
  fold,   ///< what a library makes of constants (folded.cpp); of others it is like any function
};

struct Callable {
  std::string_view name; ///< dotted
  Op op;
  Labels labels = 0;
  std::uint8_t detail = 0;
};

/// Codecs of Op::decode.
enum Codec : std::uint8_t {
  k_base64,
  k_base32,
  k_base16,
  k_base85,
  k_ascii85,
  k_zlib,
  k_gzip,
  k_bzip2,
  k_lzma,
  k_rot13,
  k_by_name, ///< codecs.decode(x, name)
  k_cipher,  ///< needs a key
  k_escapes, ///< unicode_escape
};

/// The entry for a canonical dotted name, or nothing.
const Callable* find_callable(std::string_view name);

/// Python 2's and private spellings, clients and sessions to the module's own functions:
/// "posix.system" is "os.system", "requests.Session().get" is "requests.get",
/// "datasets.utils.os.system" is "os.system".
std::string canonical(std::string_view name);

/// Whether the callable runs code or commands.
bool runs_something(Op op);

/// Facts about a unit that the rules of sinks.cpp ask for; what several of them mean together is in
/// scanner/code/behaviour.
enum Feature : std::uint8_t {
  f_webhook,   ///< Discord, Telegram, Slack
  f_oast,      ///< hosts that only show who called
  f_paste,     ///< paste and file drop sites
  f_metadata,  ///< credentials of a cloud machine
  f_public_ip, ///< asks which address it has
  f_net_out,
  f_net_in,
  f_run,
  f_hash_check,    ///< compares a digest
  f_host,          ///< asks which machine this is
  f_folder,        ///< asks where it runs
  f_user,          ///< asks who is logged in
  f_run_key,       ///< the registry's list of programs to start
  f_virtual_alloc, ///< asks for memory that can be executed
  f_count,
};

/// Texts: each sets a feature of the unit.
struct Pattern {
  Feature feature;
  std::string_view text;
};
std::span<const Pattern> patterns();

/// Whether a path (folded, '~' or a variable for home) is one that holds credentials.
bool is_sensitive_path(std::string_view path);
/// Whether a folder, or a pattern below it, is one that holds credentials and little else.
bool is_sensitive_folder(std::string_view path);
/// Whether writing there destroys a disk.
bool is_raw_disk(std::string_view path);
/// Whether `text` names a host that only shows who calls.
bool is_collecting_host(std::string_view text);
/// Whether the command runs `file`, rather than reading it: as program, or through an interpreter.
bool runs_file(std::string_view command, std::string_view file);
/// Whether writing to it makes something run later.
bool is_persistence_path(std::string_view path);
/// Whether an address is one where projects publish what others download.
bool is_published_url(std::string_view url);
/// Whether the variable holds a secret by its name.
bool is_secret_variable(std::string_view name);

} // namespace hubgate::python
