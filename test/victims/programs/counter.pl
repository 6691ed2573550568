# Counts in a sleep that a timer interrupts.
use strict; use warnings; use Time::HiRes qw(sleep setitimer ITIMER_REAL);
$| = 1;
my %data = map { $_ => $_ x 3 } 1 .. 20000;
my $digest = unpack '%32C*', join ',', map { "$_=$data{$_}" } sort keys %data;
my $count = 0;
local $SIG{ALRM} = sub { $count++; print "count $count $digest\n" };
setitimer(ITIMER_REAL, 0.05, 0.05);
sleep 1000 while 1;
