# gxx.sh - g++ compiles templates, the standard library, and a big generated file: objects and answers are the same.
. "$PRELOAD_DIR/lib.sh"

cp "$PRELOAD_DIR"/facts/*.cpp "$PRELOAD_DIR"/facts/claim.h .

generate() {
    awk 'BEGIN {
        print "#include <algorithm>\n#include <functional>\n#include <iostream>\n#include <map>\n#include <memory>\n#include <regex>\n#include <string>\n#include <tuple>\n#include <variant>\n#include <vector>"
        print "template <int N> struct Fold { static constexpr unsigned value = Fold<N - 1>::value * 31 + N; };\ntemplate <> struct Fold<0> { static constexpr unsigned value = 7; };"
        for (i = 0; i < 24; i++) {
            printf "struct Type%d { std::string name = \"type %d\"; std::vector<int> list; std::map<std::string, std::tuple<int, double, std::string>> map; };\n", i, i
            printf "unsigned work%d(unsigned x)\n{\n    Type%d t;\n    for (unsigned i = 0; i < 20; i++) {\n        t.list.push_back(static_cast<int>(x * i));\n        t.map[t.name + std::to_string(i)] = {static_cast<int>(i), x * 0.5, std::string(i, (char)(97 + i))};\n    }\n", i, i
            printf "    std::sort(t.list.begin(), t.list.end(), [](int a, int b) { return a %% %d < b %% %d; });\n    std::variant<int, std::string, std::unique_ptr<Type%d>> v = t.name;\n", i + 2, i + 2, i
            printf "    std::function<unsigned(unsigned)> f = [&](unsigned y) { return y + static_cast<unsigned>(t.map.size()) + Fold<%d>::value; };\n    return f(static_cast<unsigned>(t.list[3]) + static_cast<unsigned>(v.index()));\n}\n", 300 + i
        }
        print "int main()\n{\n    unsigned x = 1;"
        for (i = 0; i < 24; i++) printf "    x = work%d(x);\n", i
        print "    std::cout << x << std::endl;\n    std::cout << std::regex_replace(std::string(\"a1b22c333\"), std::regex(\"([0-9]+)\"), \"<$1>\") << std::endl;\n}"
    }' >big.cpp
    wc big.cpp
}

own() {
    g++ -std=gnu++17 -O2 -g -c throw_threads.cpp
    g++ -std=gnu++17 -O0 -c new_delete.cpp
    sha256sum -- *.o
}

build_big() {
    g++ -std=c++17 -O1 -o big big.cpp
    sha256sum big
    ./big
}

generate >size
step "this folder's sources" own
step "a big generated file" build_big
step "its names, demangled" sh -c 'nm -C big | cut -c 18- | sort | sha256sum; nm big | c++filt | wc -l'
step "errors in templates" sh -c 'printf "#include <map>\n#include <string>\nstruct A {};\nint main() { std::map<A, std::string> m; m[A()] = 1; std::string s = m; }\n" >bad.cpp; g++ -c bad.cpp 2>&1 | cat'
