#include "scanner/code/python/bytecode.hpp"

#include "scanner/code/marshal/decompile.hpp"

#include <algorithm>

namespace hubgate::python {
namespace {

using Kind = CodePart::Kind;

constexpr std::size_t k_shown_lines = 400;
constexpr std::size_t k_most_bytes = std::size_t{4}
                                     << 20; ///< of a code object that is put together
constexpr unsigned k_deepest = 20;

void put_number(std::string& out, std::int64_t number) {
  for (int i = 0; i < 4; ++i)
    out += static_cast<char>((static_cast<std::uint64_t>(number) >> (8 * i)) & 0xff);
}

void put_sized(std::string& out, char type, std::string_view content) {
  out += type;
  put_number(out, static_cast<std::int64_t>(content.size()));
  out += content;
}

void put(std::string& out, const CodePart& part, unsigned depth) {
  if (out.size() > k_most_bytes || depth > k_deepest) {
    out += 'N';
    return;
  }
  switch (part.kind) {
  case Kind::none:
    out += 'N';
    break;
  case Kind::number:
    if (part.number >= INT32_MIN && part.number <= INT32_MAX) {
      out += 'i';
      put_number(out, part.number);
    } else {
      out += 'I';
      put_number(out, part.number);
      put_number(out, part.number >> 32);
    }
    break;
  case Kind::text:
    put_sized(out, 'u', part.content);
    break;
  case Kind::bytes:
    put_sized(out, 's', part.content);
    break;
  case Kind::code:
    out += part.content;
    break;
  case Kind::tuple:
    out += '(';
    put_number(out, static_cast<std::int64_t>(part.items.size()));
    for (const CodePart& item: part.items)
      put(out, item, depth + 1);
    break;
  }
}

} // namespace

Summary analyse_bytecode(Bytes input, const marshal::Object& object, const Unit& unit,
                         Session& session, int version) {
  if (session.showing())
    session.show("disassembly", unit.offset,
                 marshal::disassemble(input, object, version, k_shown_lines));
  const marshal::Decompiled source = marshal::decompile(input, object, version);
  session.show("code", unit.offset, source.text);
  Unit inner = unit;
  inner.verbatim = false;
  Summary summary;
  if (!source.text.empty()) summary = analyse_python(source.text, inner, session);
  // What calls nothing is not analysed, and is not incomplete.
  summary.complete = source.complete && (summary.complete || !summary.python);
  return summary;
}

std::string source_of_bytecode(Bytes input) {
  if (input.empty() || (input[0] & 0x7f) != 'c') return {};
  const marshal::Object object = marshal::read_any(input);
  if (object.codes.empty()) return {};
  return marshal::decompile(input, object).text;
}

// argcount, [posonlyargcount,] kwonlyargcount, nlocals, stacksize, flags, code, consts, names,
// varnames, filename, name, [qualname,] firstlineno, linetable, [exceptiontable,] freevars,
// cellvars: Objects/codeobject.c, code_new. dill may put a line table in front.
std::string marshalled_code(const std::vector<CodePart>& arguments) {
  std::size_t first = 0;
  while (first < arguments.size() && arguments[first].kind != Kind::number)
    ++first;
  std::size_t at = first;
  while (at < arguments.size() && arguments[at].kind == Kind::number)
    ++at;
  const std::size_t numbers = at - first;
  if (first > 2 || numbers < 4 || numbers > 6 || at + 4 > arguments.size()) return {};
  const CodePart& code = arguments[at];
  if (code.kind != Kind::bytes && code.kind != Kind::text) return {};
  for (std::size_t i = 1; i <= 3; ++i)
    if (arguments[at + i].kind != Kind::tuple && arguments[at + i].kind != Kind::none) return {};
  const auto text_at = [&](std::size_t i) {
    return i < arguments.size() && arguments[i].kind == Kind::text;
  };
  const bool modern = text_at(at + 4) && text_at(at + 5) && text_at(at + 6);
  CodePart names[3];
  for (std::size_t i = 0; i < 3; ++i) {
    names[i] = arguments[at + 1 + i];
    names[i].kind = Kind::tuple;
  }
  // The last two tuples are the free variables and the cells.
  CodePart frees{.kind = Kind::tuple};
  CodePart cells{.kind = Kind::tuple};
  const std::size_t tail = arguments.size();
  if (tail >= at + 9 && arguments[tail - 1].kind == Kind::tuple &&
      arguments[tail - 2].kind == Kind::tuple) {
    frees = arguments[tail - 2];
    cells = arguments[tail - 1];
  }
  const auto head = [&](std::size_t i) { return arguments[first + i].number; };
  std::string out = "c";
  const CodePart name{.kind = Kind::text,
                      .content = text_at(at + 5) ? arguments[at + 5].content : "code"};
  const CodePart empty{.kind = Kind::bytes};
  const CodePart bytecode{.kind = Kind::bytes, .content = code.content};
  if (modern) {
    for (const std::size_t i: {std::size_t{0}, std::size_t{1}, std::size_t{2}})
      put_number(out, numbers == 6 ? head(i) : 0);
    put_number(out, head(numbers - 2));
    put_number(out, head(numbers - 1));
    CodePart locals = names[2];
    CodePart kinds{.kind = Kind::bytes, .content = std::string(locals.items.size(), '\x20')};
    for (const CodePart& cell: cells.items) {
      const auto known = std::find_if(locals.items.begin(), locals.items.end(),
                                      [&](const CodePart& l) { return l.content == cell.content; });
      if (known != locals.items.end()) {
        kinds.content[static_cast<std::size_t>(known - locals.items.begin())] = '\x60';
        continue;
      }
      locals.items.push_back(cell);
      kinds.content += '\x40';
    }
    for (const CodePart& free: frees.items) {
      locals.items.push_back(free);
      kinds.content += '\x80';
    }
    for (const CodePart* part: std::initializer_list<const CodePart*>{
             &bytecode, &names[0], &names[1], &locals, &kinds, &name, &name, &name})
      put(out, *part, 0);
    put_number(out, 1);
    put(out, empty, 0);
    put(out, empty, 0);
  } else {
    for (std::size_t i = 0; i < numbers; ++i)
      put_number(out, head(i));
    for (std::size_t i = numbers; i < 5; ++i)
      put_number(out, 0);
    for (const CodePart* part: std::initializer_list<const CodePart*>{
             &bytecode, &names[0], &names[1], &names[2], &frees, &cells, &name, &name})
      put(out, *part, 0);
    put_number(out, 1);
    put(out, empty, 0);
  }
  return out.size() > k_most_bytes ? std::string() : out;
}

} // namespace hubgate::python
