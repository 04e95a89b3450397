// Calls as pickles spell them: str.join('', …), operator.add(a, b), types by name.
#include "scanner/code/python/evaluator.hpp"

#include <array>

namespace hubgate::python {
// Text as Latin-1, which is how protocols 0 to 2 of pickle carry bytes.
std::string narrowed(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c == 0xc2 || c == 0xc3) && i + 1 < text.size()) {
      out += static_cast<char>((c << 6 & 0xc0) | (static_cast<unsigned char>(text[++i]) & 0x3f));
    } else {
      out += text[i];
    }
  }
  return out;
}

bool Evaluator::call_unbound(const std::string& path, const Arguments& arguments, NodeId at,
                             Value& result) {
  const Value first = arguments.get(0);
  const auto rest = [&](std::size_t from) {
    Arguments out;
    out.open = arguments.open;
    out.named = arguments.named;
    for (std::size_t i = from; i < arguments.positional.size(); ++i)
      out.positional.push_back(arguments.positional[i]);
    return out;
  };
  static constexpr std::array<std::string_view, 5> k_types{"str.", "bytes.", "bytearray.", "list.",
                                                           "dict."};
  for (const std::string_view type: k_types)
    if (path.starts_with(type) && path.find('.', type.size()) == std::string::npos &&
        (first.is_text() || first.kind == Kind::list || first.kind == Kind::dict) &&
        find_callable(path) == nullptr)
      return method(first, std::string_view(path).substr(type.size()), k_no_node, rest(1), at,
                    result);
  if (path == "operator.add" || path == "operator.concat" || path == "operator.iadd" ||
      path == "operator.mod") {
    result = arithmetic(path == "operator.mod" ? '%' : '+', first, arguments.get(1), at);
    return true;
  }
  // sh.bash("-c", …), plumbum.local["bash"]("-c", …): the program is the name of the function
  for (const std::string_view library: {"sh.", "plumbum.local.", "plumbum.cmd."}) {
    if (!path.starts_with(library) || path.find_first_of(".(", library.size()) != std::string::npos)
      continue;
    std::vector<Value> words{make_text(path.substr(library.size()), 0, false)};
    words.insert(words.end(), arguments.positional.begin(), arguments.positional.end());
    note(f_run, tree_[at].begin);
    judge_command(make_list(std::move(words), 0), arguments, at, "subprocess.run");
    result = unknown(k_output, at);
    return true;
  }
  // types by name, as cloudpickle and dill write them
  if ((path.ends_with("._builtin_type") || path.ends_with("._load_type")) && first.is_text()) {
    result = make_name("types." + raw(first));
    return true;
  }
  return false;
}

} // namespace hubgate::python
