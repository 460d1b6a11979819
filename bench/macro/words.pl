# words.pl N - Perl: strings, hashes of arrays, sorting, regular expressions, closures; prints a checksum.
#
# Run with PERL_HASH_SEED=0, so that hashes are ordered the same way every time.
use strict;
use warnings;

my $count = shift @ARGV;
my $state = 1;

sub number {    # minimal standard generator, Park and Miller 1988
    $state = $state * 16807 % 2147483647;
    return $state % $_[0];
}

my (%seen, @lines);
for my $i (1 .. $count) {
    my $word = join '', map { chr(97 + number(26)) } 1 .. 2 + number(3);
    push @{ $seen{$word} }, { at => $i, text => $word x (1 + number(5)) };
    push @lines, "$word=" . number(1000) . ';' if $i % 2;
}

my $text = join ' ', @lines;
$text =~ s/([a-m]+)=(\d+);/$2 . uc $1/ge;
my @parts = sort { length $a <=> length $b or $a cmp $b } split / /, $text;

my %by_length;
for my $word (sort keys %seen) {
    my @entries = sort { $b->{at} <=> $a->{at} } @{ $seen{$word} };
    $by_length{ length $word } .= $entries[0]{text};
    delete $seen{$word} if number(3) == 0;
}

my @adders = map { my $n = $_; sub { return $_[0] + $n } } 1 .. $count / 10;
my $total = 0;
$total = $_->($total) % 1000003 for @adders;

my $sum = 0;
for my $string (@parts, map { $by_length{$_} } sort keys %by_length) {
    $sum = ($sum * 31 + unpack '%32C*', $string) % 4294967291;
}
print "$sum $total ", scalar(keys %seen), "\n";
