# perl.sh - hashes, regular expressions, sorting, closures, string building, pack, fork, and big integers in perl.
. "$PRELOAD_DIR/lib.sh"

export PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0

step "hashes" perl -e 'my %h; $x = 1; for (1 .. 200000) { $x = ($x * 69069 + 1) % 4294967296; $h{$x % 50021} .= chr(97 + $x % 26); delete $h{($x >> 8) % 50021} if $x % 3 == 0 } print scalar(keys %h), "\n"; print "$_ $h{$_}\n" for sort { $a <=> $b } grep { $_ % 50 == 0 } keys %h'
step "regular expressions" perl -e '$t = join " ", map { "word" . ($_ * 7919 % 10007) } 1 .. 60000; $n = () = $t =~ /word(\d)\d*\1\b/g; print "$n\n"; $t =~ s/word(\d+)/reverse $1/ge; print substr($t, -500), "\n"; print join("|", (split /\s+/, $t)[100 .. 140]), "\n"'
step "nested data" perl -MData::Dumper -MStorable=dclone -e '$Data::Dumper::Sortkeys = 1; sub t { my $d = shift; $d ? { map { ("k$_", [t($d - 1), $_ x $d]) } 1 .. 5 } : "leaf" } my $x = t(5); my $y = dclone($x); my $d = Dumper($y); print length $d, "\n", substr($d, -2000)'
step "sort" perl -e '@a = map { ($_ * 1103515245 + 12345) % 2147483648 } 1 .. 200000; @b = sort { $a <=> $b } @a; @c = sort @a; print "@b[0 .. 50] @c[-50 .. -1]\n"'
step "strings and pack" perl -e 'my $s = ""; $s .= pack("Nnw/a*", $_, $_ % 65536, "text $_") for 1 .. 60000; print length $s, " ", unpack("%32C*", $s), "\n"; my @l = unpack("(N n w/a*)*", $s); print "@l[-9 .. -1]\n"; $s = "x" x 1e7; substr($s, 5e6, 10) = "y" x 100000; print length $s, "\n"'
step "closures and objects" perl -e 'package C; sub new { bless { n => $_[1], f => do { my $n = $_[1]; sub { $n++ } } }, $_[0] } sub DESTROY { $main::d++ } package main; { my @o = map { C->new($_) } 1 .. 30000; $s += $_->{f}->() + $_->{f}->() for @o; } print "$s $d\n"'
step "big integers" perl -MMath::BigInt -e 'print Math::BigInt->new(2)->bpow(3000), "\n", Math::BigInt->new(400)->bfac(), "\n"'
step "fork and pipes" perl -e 'for $i (1 .. 20) { my $pid = open my $p, "-|"; if (!$pid) { my %h = map { $_ => "v$_" } 1 .. 5000; print scalar(keys %h) + $i; exit 0 } print "$i ", <$p>, "\n"; close $p }'
step "a one-liner over a file" sh -c 'seq 1 200000 >n; perl -ne "\$s += \$_; \$h{length()}++; END { print \"\$s @h{sort keys %h}\n\" }" n; perl -i.bak -pe "s/7/seven/g" n; sha1sum n'
step_fails 9 "die" sh -c 'echo start; perl -e "\$! = 9; die qq(over)"'
